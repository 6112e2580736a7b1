"""What is done to a session: its own commands go to the keeper as session.control, the others to its task."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from events.base import Event, EventData
from events.errors import GanglionError
from events.ids import new_id
from events.session import SessionControl
from events.task import ControlAction, TaskControl, TaskError
from gateway.accept import SOURCE
from gateway.auth.bearer import Principal
from gateway.commands import Commands
from gateway.errors import NotFoundError, RefusedError
from gateway.http.preferences import Key
from gateway.sessions.requests import (
    ActionRequest,
    CompleteSessionRequest,
    FailSessionRequest,
    UpdateSessionRequest,
)
from gateway.trail import Trail
from storage.reading import Database
from storage.sessions import SessionRow, find_session

_UNKNOWN = {"unknown_session", "unknown_task", "no_task", "session_archived", "unknown_checkpoint"}

Body = ActionRequest | CompleteSessionRequest | FailSessionRequest


class InvalidTransitionError(RefusedError):
    """The session cannot do that in the status it is in."""

    code = "invalid_transition"


class VersionConflictError(RefusedError):
    """Somebody was quicker: the session has another version than you expect."""

    code = "version_conflict"


@dataclass(frozen=True, slots=True)
class Command:
    """One action with what was said about it, and the key it came with."""

    action: ControlAction
    said: Body
    key: Key | None


@dataclass(frozen=True, slots=True)
class Done:
    """The session after a command, and whether it was given before with the same key.

    `row` is None while the outcome is not known: only the log has the command. `event_id` is what the log has it as.
    """

    row: SessionRow | None
    replayed: bool
    event_id: str = ""


class Sessions:
    """Finds sessions for a caller and passes commands on; what is not the caller's is not found."""

    def __init__(self, commands: Commands, engine: Database) -> None:
        self._commands = commands
        self._engine = engine

    async def find(self, principal: Principal, session_id: str, *, archived: bool = False) -> SessionRow:
        """The session. Raises NotFoundError, for a deleted one too unless `archived`."""
        row = await find_session(self._engine, session_id)
        if row is None or not principal.may_see(row.tenant, row.owner):
            raise NotFoundError
        if row.status == "archived" and not archived:
            raise NotFoundError
        return row

    async def lead(
        self, principal: Principal, session_ids: Sequence[str], action: str, key: Key
    ) -> tuple[str | None, bool]:
        """Which of many sessions the event is about that has the key's own id, and whether it is in the log.

        Raises IdempotencyConflictError if another request had this key. None if no session can be acted on.
        """
        earlier = await self._commands.first_of_many(key)
        if earlier is not None:
            return earlier.sessionid, True
        for session_id in session_ids:
            with suppress(NotFoundError):
                row = await self.find(principal, session_id, archived=True)
                if action == "delete" or row.task_id is not None:
                    return session_id, False
        return None, False

    async def act(self, principal: Principal, row: SessionRow, command: Command, trail: Trail) -> Done:
        """Start, pause, resume, cancel, complete or fail it. Raises InvalidTransitionError."""
        if row.task_id is None:
            raise InvalidTransitionError
        return await self.control(
            principal, row, _control_of(row.task_id, command, principal.owner), command.key, trail
        )

    async def control(
        self, principal: Principal, row: SessionRow, control: TaskControl, key: Key | None, trail: Trail
    ) -> Done:
        """Have one of its tasks take another course. Raises InvalidTransitionError."""
        answered = await self._commands.ask(_event(row, control, key, trail, control.task_id), key)
        if answered.outcome is None:
            return Done(None, answered.replayed)
        after = await self.find(principal, row.id, archived=answered.replayed)
        if answered.refusal != "task_final" or not _is_already(after, control.action):
            _raise(answered.refusal, control.action)
        return Done(after, answered.replayed, answered.event.id)

    async def update(
        self, principal: Principal, row: SessionRow, said: UpdateSessionRequest, key: Key | None, trail: Trail
    ) -> Done:
        """Describe it anew. Raises VersionConflictError."""
        control = SessionControl(
            session_id=row.id,
            action="update",
            by=principal.owner,
            title=said.title,
            tags=None if said.tags is None else tuple(said.tags),
            metadata=said.metadata,
            expected_version=said.expected_version,
        )
        answered = await self._commands.ask(_event(row, control, key, trail), key)
        _raise(answered.refusal, "update")
        if answered.outcome is None:
            return Done(None, answered.replayed)
        return Done(await self.find(principal, row.id, archived=answered.replayed), answered.replayed)

    async def delete(self, principal: Principal, row: SessionRow, key: Key | None, trail: Trail) -> Done:
        """Archive it, and cancel what is still to be done in it."""
        control = SessionControl(session_id=row.id, action="archive", by=principal.owner, body_sha256=_request_of(key))
        answered = await self._commands.ask(_event(row, control, key, trail), key)
        _raise(answered.refusal, "delete")
        return Done(None if answered.outcome is None else row, answered.replayed)


def _control_of(task_id: UUID, command: Command, by: str) -> TaskControl:
    control = TaskControl(task_id=task_id, action=command.action, by=by, body_sha256=_request_of(command.key))
    said = command.said
    match said:
        case CompleteSessionRequest():
            return control.model_copy(update={"result": said.kept()})
        case FailSessionRequest():
            error = TaskError(code=said.error_code, message=said.error_message, retryable=said.retryable)
            context = None if said.error_context is None else {"error_context": said.error_context}
            return control.model_copy(update={"reason": said.error_code, "error": error, "result": context})
        case _:
            return control.model_copy(update={"reason": said.reason})


def _request_of(key: Key | None) -> str | None:
    """The fingerprint of a request about many sessions; one about a single session is known by its event."""
    return key.body_sha256 if key is not None and key.of_many else None


def _event(
    row: SessionRow, control: EventData, key: Key | None, trail: Trail, task_id: UUID | None = None
) -> Event[EventData]:
    return Event.first(
        control,
        source=SOURCE,
        tenant=row.tenant,
        owner=row.owner,
        task_id=task_id,
        session_id=row.id,
        event_id=key.event_id if key else new_id(),
        traceparent=trail.traceparent,
    )


def _is_already(row: SessionRow, action: str) -> bool:
    """Whether the command had come true before it was given: an agent may be quicker than its owner."""
    return action == "complete" and row.task_status == "succeeded"


def _raise(refusal: str | None, action: str) -> None:
    if refusal is None:
        return
    if refusal in _UNKNOWN:
        raise NotFoundError
    error: GanglionError = (
        VersionConflictError()
        if refusal == "version_conflict"
        else InvalidTransitionError(f"To {action} the session is not possible now: {refusal.replace('_', ' ')}.")
    )
    raise error
