"""Commands that name a status or another task: POST …/status, and what a task depends on, changed later."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.task import ControlAction, Dependency, TaskControl, TaskError
from gateway.errors import RefusedError
from gateway.http.bodies import read_body, read_json
from gateway.http.documentation import problems, request_body
from gateway.http.preferences import IdempotencyKey
from gateway.tasks.controlling import Controlling, Scene
from gateway.tasks.lookup import parsed_id
from gateway.tasks.models import CancelAccepted, Task
from gateway.tasks.reading import TaskId
from gateway.tasks.requests import DependencyBody, StatusRequest
from gateway.tasks.statuses import action_for, possible
from storage.tasks import TaskRow

_STATUS = "/api/v1/tasks/{task_id}/status"
_DEPENDENCIES = "/api/v1/tasks/{task_id}/dependencies"
_DEPENDENCY = "/api/v1/tasks/{task_id}/dependencies/{other_id}"


class Steering:
    """The routes."""

    def __init__(self, controlling: Controlling) -> None:
        self._controlling = controlling

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["tasks"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        asked: dict[int | str, dict[str, object]] = {200: {"model": Task}, 202: {"model": CancelAccepted}}
        without_body = problems(401, 403, 404, 409, 422, 503)
        told = {**asked, **problems(400, 401, 403, 404, 409, 413, 415, 422, 503)}
        router.post(
            _STATUS,
            summary="Bring a task into a status",
            responses=told,
            openapi_extra=request_body(StatusRequest),
        )(self.set_status)
        router.post(
            _DEPENDENCIES,
            summary="Let a task depend on another one",
            responses=told,
            openapi_extra=request_body(DependencyBody),
        )(self.add_dependency)
        router.delete(
            _DEPENDENCY,
            summary="Let a task not depend on another one any more",
            responses={**asked, **without_body},
        )(self.remove_dependency)
        return router

    async def set_status(
        self,
        request: Request,
        task_id: TaskId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - read from the request; named here for the document
    ) -> Response:
        """By the command that leads there from where the task is; 409 if none does, with those that do."""
        scene = await self._controlling.scene(request, task_id)
        _, body = await read_json(request)
        said = read_body(StatusRequest, body)
        key = scene.key(_STATUS, body)
        commands = self._controlling.commands
        first = None if key is None else await commands.first_of_many(key)  # the task may be elsewhere by now
        if first is None:
            control = _control(scene, said, _action(scene, said))
            if key is not None:
                control = control.model_copy(update={"body_sha256": key.body_sha256})
            first = scene.event(control, key)
        answered = await commands.ask(first, key)
        return await self._controlling.answer(f"To make the task {said.status}", scene, answered)

    async def add_dependency(
        self,
        request: Request,
        task_id: TaskId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - as above
    ) -> Response:
        """Only while the task is not ready yet. What would make tasks wait for one another in a ring is refused."""
        scene = await self._controlling.scene(request, task_id)
        _, body = await read_json(request)
        return await self._link(scene, "add_dependency", read_body(DependencyBody, body).dependency(), body)

    async def remove_dependency(
        self,
        request: Request,
        task_id: TaskId,
        other_id: Annotated[str, Path(json_schema_extra={"format": "uuid"})],
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - as above
    ) -> Response:
        """In any way, and only while the task is not ready yet."""
        scene = await self._controlling.scene(request, task_id)
        other = parsed_id(other_id)
        return await self._link(scene, "remove_dependency", Dependency(task_id=other), str(other).encode())

    async def _link(self, scene: Scene, action: ControlAction, dependency: Dependency, body: bytes) -> Response:
        path, verb = (_DEPENDENCIES, "add") if action == "add_dependency" else (_DEPENDENCY, "remove")
        key = scene.key(path, body)
        control = TaskControl(task_id=scene.found.id, action=action, by=scene.principal.owner, dependency=dependency)
        answered = await self._controlling.commands.ask(scene.event(control, key), key)
        return await self._controlling.answer(f"To {verb} this dependency", scene, answered)


def _action(scene: Scene, said: StatusRequest) -> ControlAction:
    """Raises RefusedError."""
    found = scene.found
    status, reason = (found.status, found.reason) if isinstance(found, TaskRow) else ("submitted", None)
    held = reason == "hold" or (status == "submitted" and isinstance(found, TaskRow) and bool(found.spec.get("hold")))
    action = action_for(said.status, status, held=held)
    if action is None:
        ways = ", ".join(possible(status, held=held)) or "nothing else"
        raise RefusedError(f"No command makes a task that is {status} {said.status}. It can be made: {ways}.")
    return action


def _control(scene: Scene, said: StatusRequest, action: ControlAction) -> TaskControl:
    control = TaskControl(task_id=scene.found.id, action=action, by=scene.principal.owner, reason=said.reason)
    if action == "complete":
        return control.model_copy(update={"result": said.result})
    if action == "fail":
        error = TaskError(code=said.code, message=said.message, retryable=False)
        return control.model_copy(update={"reason": said.code, "error": error})
    return control
