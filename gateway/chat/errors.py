"""What goes wrong with a conversation, in the words and statuses that its document asks for (requirements 003, O.2)."""

from uuid import UUID

from pydantic import JsonValue

from events.errors import GanglionError, TransientError
from events.task import QUOTA_EXCEEDED
from gateway.errors import (
    BadGatewayError,
    BadRequestError,
    BlockedByPolicyError,
    Fault,
    ForbiddenError,
    GatewayTimeoutError,
    InvalidBodyError,
    NotFoundError,
    RefusedError,
)
from gateway.tenants.errors import QuotaExceededError
from storage.tasks import TaskRow


class InvalidMessageError(BadRequestError, InvalidBodyError):
    """The message is missing, empty or longer than 5,000 characters; `errors` says which."""

    code = "invalid_message"

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        InvalidBodyError.__init__(self, faults)


class ForeignUserError(ForbiddenError):
    """The path names another user than the token does."""

    code = "foreign_user"


class ForeignConversationError(ForbiddenError):
    """The conversation belongs to somebody else."""

    code = "foreign_conversation"


class ConversationNotFoundError(NotFoundError):
    """There is no conversation of yours under this id; leave the id out to begin a new one."""

    code = "conversation_not_found"


class AgentTimeoutError(GatewayTimeoutError):
    """The agent did not answer in time and was stopped; the conversation is kept, ask again."""

    code = "agent_timeout"


class AgentUnavailableError(TransientError):
    """No agent could answer at the moment; the conversation is kept, ask again."""

    code = "agent_unavailable"


class AgentFailedError(BadGatewayError):
    """The agent could not answer this; the conversation is kept."""

    code = "agent_error"


class TurnCancelledError(RefusedError):
    """The turn was cancelled before it was answered."""

    code = "turn_cancelled"


class ConversationFullError(TransientError):
    """Too many turns of this conversation wait already."""

    code = "session_full"


_GOAL, _MESSAGE = "goal", "message"
_BY_CODE: dict[str, type[GanglionError]] = {
    "unknown_session": ConversationNotFoundError,
    "session_archived": ConversationNotFoundError,
    "not_a_chat": ConversationNotFoundError,
    "session_full": ConversationFullError,
    QUOTA_EXCEEDED: QuotaExceededError,
    "unroutable": AgentUnavailableError,
    "overloaded": AgentUnavailableError,
}


def failure_of(task: TaskRow, conversation_id: str) -> GanglionError:
    """The error that answers a turn which did not succeed; it names turn and conversation, and what the agent said."""
    code = str((task.error or {}).get("code") or task.reason)
    retryable = bool((task.error or {}).get("retryable"))
    message = str((task.error or {}).get("message") or "") or None
    error: GanglionError
    match task.status:
        case "blocked":
            error = _blocked(task)
        case "timed_out":
            error = AgentTimeoutError()
        case "cancelled" | "skipped":
            error = TurnCancelledError()
        case _ if code in _BY_CODE:
            error = _BY_CODE[code]()
        case _:
            error = _named(AgentUnavailableError(message) if retryable else AgentFailedError(message), code)
    return about(error, conversation_id, task.id)


def _blocked(task: TaskRow) -> BlockedByPolicyError:
    """What is a task's goal to those who screened it was sent as a message."""
    findings: list[JsonValue] = [
        {**finding, "field": _MESSAGE} if finding["field"] == _GOAL else finding for finding in task.findings or []
    ]
    reason = (task.verdict_reason or "").replace(f"in field '{_GOAL}'", f"in field '{_MESSAGE}'")
    return BlockedByPolicyError(reason or None, findings)


def _named(error: GanglionError, code: str) -> GanglionError:
    """The error under the code that the agent gave it."""
    if code != "None":
        error.code = code  # type: ignore[misc]  # agents' codes are many, and stable
    return error


def about(error: GanglionError, conversation_id: str | None = None, task_id: UUID | None = None) -> GanglionError:
    """The error with the members that the document wants in every answer: `error_code`, and what it was about."""
    known: dict[str, object] = dict(getattr(error, "members", {}))
    if conversation_id is not None:
        known["conversation_id"] = conversation_id
    if task_id is not None:
        known["task_id"] = task_id
    error.members = {**known, "error_code": error.code}  # type: ignore[attr-defined]  # see answer_error
    return error
