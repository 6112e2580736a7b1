"""Creating a session: one event opens it and holds its first task."""

from starlette.requests import Request
from starlette.responses import Response

from events.errors import OutcomeUnknownError
from gateway.accept import Acceptor
from gateway.auth.bearer import Principal
from gateway.commands import Commands
from gateway.errors import Fault, ForbiddenError, InvalidBodyError, NotFoundError, UnansweredError
from gateway.http.answers import json_answer
from gateway.http.preferences import Key
from gateway.metrics import Metrics
from gateway.sessions.acting import Sessions
from gateway.sessions.requests import CreateSessionRequest
from gateway.sessions.view import session_payload
from gateway.tasks.asking import submission
from gateway.tenants.quotas import Quotas
from gateway.trail import Trail


class ForeignCreatorError(ForbiddenError):
    """A session is created by the bearer of the token and by nobody else."""

    code = "foreign_creator"


class Creating:
    """Takes new sessions."""

    def __init__(
        self, *, acceptor: Acceptor, commands: Commands, sessions: Sessions, metrics: Metrics, quotas: Quotas
    ) -> None:
        self._acceptor = acceptor
        self._commands = commands
        self._sessions = sessions
        self._metrics = metrics
        self._quotas = quotas

    async def create(
        self, principal: Principal, asked: CreateSessionRequest, key: Key | None, request: Request
    ) -> Response:
        """201 with the session, or 202 while the database is away. Raises ForeignCreatorError, InvalidBodyError."""
        if asked.created_by not in (None, principal.owner):
            raise ForeignCreatorError
        if asked.parent_session_id is not None:
            await self._find_parent(principal, asked.parent_session_id)
        self._acceptor.refuse_if_overloaded()
        spec, trail = asked.task(), Trail.of(request.scope)
        event = submission(spec, key, trail, tenant=principal.tenant, owner=principal.owner, session=asked.session())
        task_id, session_id = event.data.task_id, str(event.sessionid)
        try:
            answered = await self._commands.ask(event, key)
        except OutcomeUnknownError as error:
            raise UnansweredError(task_id, key.value if key else None) from error
        if not answered.replayed:
            self._metrics.submitted(spec.priority)
        here = f"/api/v1/sessions/{session_id}"
        headers = {"Location": here, **answered.headers}
        if answered.outcome is None:
            return json_answer(_accepted(session_id, str(task_id)), 202, headers)
        try:
            row = await self._sessions.find(principal, session_id, archived=True)
        except NotFoundError:  # the task was refused, and for nothing else that we have not looked at
            raise await self._quotas.exceeded(principal.tenant) from None
        return json_answer(session_payload(row), 201, headers)

    async def _find_parent(self, principal: Principal, session_id: str) -> None:
        try:
            await self._sessions.find(principal, session_id)
        except NotFoundError:
            fault = Fault(field="parent_session_id", message="there is no session of yours under this id")
            raise InvalidBodyError([fault]) from None


def _accepted(session_id: str, task_id: str) -> dict[str, object]:
    task = f"/api/v1/tasks/{task_id}"
    return {
        "id": session_id,
        "task_id": task_id,
        "status": "pending",
        "durability": "log",
        "message": "The session is kept in the log; the database will follow.",
        "links": {
            "self": f"/api/v1/sessions/{session_id}",
            "events": f"{task}/events",
            "stream": f"{task}/stream",
            "room": f"session:{session_id}",
        },
    }
