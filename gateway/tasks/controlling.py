"""Changing a task's course: the command becomes an event, the answer is that event's outcome (DESIGN rule 2)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.base import Event, EventData
from events.ids import new_id
from events.task import ControlAction, TaskControl, TaskError
from gateway.accept import SOURCE, Acceptor
from gateway.auth.bearer import WRITE, Authenticator, Principal
from gateway.commands import Answered, Commands
from gateway.errors import NotFoundError, RefusedError, TaskFinalError
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json
from gateway.http.documentation import problems, request_body
from gateway.http.preferences import IdempotencyKey, Key, read_key
from gateway.tasks.accepted import accepted_answer
from gateway.tasks.lookup import Lookup, Recent, parsed_id
from gateway.tasks.models import CancelAccepted, Task
from gateway.tasks.requests import CompleteRequest, ControlRequest, FailRequest
from gateway.tasks.views import task_view
from gateway.trail import Trail
from storage.reading import Database
from storage.tasks import TaskRow

_HOME = "/api/v1/tasks"
_UNKNOWN = {"unknown_task", "no_task", "not_found"}
_WHY = {
    "not_running": "it is not running",
    "not_paused": "it is not paused",
    "not_held": "it is not on hold",
    "not_checked": "it was not screened yet",
    "not_retryable": "only a task that failed or timed out can be tried again",
    "was_refused": "it was refused when it was asked for: ask for another",
    "parent_ended": "its parent has ended",
    "attempts_used_up": "all its attempts are used up",
    "session_archived": "its session is archived",
    "later_turns": "only the latest turn of a conversation can be tried again",
    "run_has_ended": "its agent is done with it; it only waits for other tasks",
    "has_begun": "it is ready or has begun",
    "not_begun": "no agent has begun on it",
    "unknown_checkpoint": "it has no such checkpoint, or not any more",
    "depends_on_nothing": "only goals and subtasks depend on others",
    "depends_already": "it depends on that task already, in this way",
    "not_a_dependency": "it does not depend on that task",
    "unknown_dependency": "there is no such task of yours",
    "dependency_failed": "that task has ended badly already",
    "too_many_dependencies": "a task may depend on 64 others at most",
    "too_many_dependants": "1024 tasks wait for that one already",
    "cycle": "the task would wait for itself",
    "too_far": "more tasks wait for one another there than can be looked through",
}

Body = ControlRequest | CompleteRequest | FailRequest
Handler = Callable[..., Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Action:
    """One command: its name in the path and in the event, what its route says of itself, and its body."""

    name: ControlAction
    summary: str
    promise: str
    body: type[Body] = ControlRequest

    @property
    def path(self) -> str:
        """The route's template."""
        return f"{_HOME}/{{task_id}}/{self.name}"


ACTIONS = (
    Action("cancel", "Cancel a task", "Entered at once unless the task has ended; a running agent sees it within 1 s."),
    Action("pause", "Pause a running task", "The agent is stopped; what it has so far is kept for the next attempt."),
    Action("resume", "Let a paused task go on", "A new attempt begins; it counts against nothing."),
    Action(
        "retry", "Try a failed or timed out task again", "A new attempt, three in all; a passed deadline is renewed."
    ),
    Action("start", "Start a task on hold", "A task created with `hold` waits for this."),
    Action("complete", "Say that a task is done", "Its agent is stopped; `result` is kept.", CompleteRequest),
    Action("fail", "Say that a task has failed", "Its agent is stopped; what it has so far is kept.", FailRequest),
)


@dataclass(frozen=True, slots=True)
class Scene:
    """Who asks for a command, by which request, and the task that it is about."""

    request: Request
    principal: Principal
    found: TaskRow | Recent

    def key(self, path: str, body: bytes) -> Key | None:
        """The request's Idempotency-Key, for this task and body. Raises InvalidBodyError."""
        return read_key(self.request, self.principal, path, f"{self.found.id}\n".encode() + body)

    def event(self, control: TaskControl, key: Key | None) -> Event[EventData]:
        """The command for the bus."""
        found = self.found
        return Event.first(
            control,
            source=SOURCE,
            tenant=found.tenant,
            owner=found.owner,
            task_id=found.id,
            session_id=found.session_id if isinstance(found, TaskRow) else None,
            event_id=key.event_id if key else new_id(),
            traceparent=Trail.of(self.request.scope).traceparent,
        )


class Controlling:
    """One route a command."""

    def __init__(self, *, authenticator: Authenticator, acceptor: Acceptor, lookup: Lookup, engine: Database) -> None:
        self._authenticator = authenticator
        self.commands = Commands(acceptor, engine)
        self._lookup = lookup

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["tasks"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        for action in ACTIONS:
            router.add_api_route(
                action.path,
                self._handler(action),
                methods=["POST"],
                name=f"{action.name}_task",
                summary=action.summary,
                description=action.promise,
                responses={
                    200: {"model": Task},
                    202: {"model": CancelAccepted},
                    **problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
                },
                openapi_extra=request_body(action.body, required=False),
            )
        return router

    def _handler(self, action: Action) -> Handler:
        async def handle(
            request: Request,
            task_id: Annotated[str, Path(json_schema_extra={"format": "uuid"})],
            idempotency_key: IdempotencyKey = None,  # noqa: ARG001 - read from the request; named here for the document
        ) -> Response:
            return await self._act(action, request, task_id)

        return handle

    async def _act(self, action: Action, request: Request, task_id: str) -> Response:
        scene = await self.scene(request, task_id)
        control, body = await _read_command(action, request, scene.found.id, scene.principal)
        key = scene.key(action.path, body)
        answered = await self.commands.ask(scene.event(control, key), key)
        return await self.answer(f"To {action.name} the task", scene, answered)

    async def scene(self, request: Request, task_id: str) -> Scene:
        """Who asks, and for which task of theirs. Raises UnauthorizedError, MissingScopeError, NotFoundError."""
        principal = await self._authenticator.caller(request, WRITE)
        return Scene(request, principal, await self._lookup.task(principal, parsed_id(task_id)))

    async def answer(self, what: str, scene: Scene, answered: Answered) -> Response:
        """The task as it is then, or why `what` was asked for is not possible."""
        principal, found = scene.principal, scene.found
        if answered.outcome is None:
            status = found.status if isinstance(found, TaskRow) else "submitted"
            return accepted_answer(found.id, status, "log", _HOME, replayed=answered.replayed)
        refusal = answered.refusal
        if refusal == "task_final":
            raise TaskFinalError
        if refusal in _UNKNOWN:
            raise NotFoundError
        if refusal is not None:
            raise RefusedError(f"{what} is not possible: {_WHY.get(refusal, refusal)}.")
        return json_answer(task_view(await self._lookup.task(principal, found.id)), 200, answered.headers)


async def _read_command(
    action: Action, request: Request, task_id: UUID, principal: Principal
) -> tuple[TaskControl, bytes]:
    body = b""
    if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
        _, body = await read_json(request)
    said = read_body(action.body, body) if body else action.body()
    control = TaskControl(task_id=task_id, action=action.name, by=principal.owner)
    if isinstance(said, FailRequest):
        error = TaskError(code=said.code, message=said.message, retryable=False)
        return control.model_copy(update={"reason": said.code, "error": error}), body
    result = said.result if isinstance(said, CompleteRequest) else None
    return control.model_copy(update={"reason": said.reason, "result": result}), body
