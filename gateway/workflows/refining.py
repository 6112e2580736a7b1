"""POST /api/workflows/{id}/refinements: a refinement is a task; its proposal can be read at once."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.base import Event, JsonObject
from events.errors import OutcomeUnknownError
from events.ids import derived_id
from events.session import SessionSpec
from events.task import Budget, TaskContext, TaskSpec, TaskSubmitted
from gateway.accept import Acceptor
from gateway.auth.bearer import WRITE
from gateway.commands import Commands
from gateway.errors import UnansweredError
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json
from gateway.http.documentation import problems, request_body
from gateway.http.preferences import IdempotencyKey, Key, Prefer, read_key, read_wait
from gateway.metrics import Metrics
from gateway.tasks.asking import submission
from gateway.trail import Trail
from gateway.workflows.access import Access, must_not_be_locked
from gateway.workflows.asking import HOME
from gateway.workflows.awaiting import Awaiting
from gateway.workflows.models import Proposal, RefinementAccepted
from gateway.workflows.requests import RefinementRequest
from gateway.workflows.workflows import WorkflowId
from storage.workflows import WorkflowRow

_PATH = f"{HOME}/{{workflow_id}}/refinements"
_REMEMBERED = 1_000
_BUDGET = Budget(max_tokens=100_000, max_time_seconds=1_800, max_cost_usd=10.0)


@dataclass(frozen=True, slots=True)
class Young:
    """A refinement whose event is in the log and whose proposal may not be in Postgres yet."""

    task_id: UUID
    workflow_id: UUID
    tenant: str
    owner: str
    request: RefinementRequest
    created_at: datetime


class Nursery:
    """The latest refinements without a confirmed row, by the id of their proposal."""

    def __init__(self) -> None:
        self._young: OrderedDict[UUID, Young] = OrderedDict()

    def add(self, young: Young) -> None:
        """Remember one; the oldest makes room."""
        self._young[derived_id(young.task_id, "proposal")] = young
        if len(self._young) > _REMEMBERED:
            self._young.popitem(last=False)

    def get(self, proposal_id: UUID) -> Young | None:
        """The refinement, if it was accepted here lately."""
        return self._young.get(proposal_id)


class Refining:
    """Takes refinements. The engine may be away: the task waits for it."""

    def __init__(
        self,
        access: Access,
        commands: Commands,
        acceptor: Acceptor,
        nursery: Nursery,
        *,
        metrics: Metrics,
        awaiting: Awaiting,
    ) -> None:
        self._access = access
        self._awaiting = awaiting
        self._commands = commands
        self._acceptor = acceptor
        self._nursery = nursery
        self._metrics = metrics

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter(tags=["workflows"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        router.post(
            _PATH,
            status_code=202,
            summary="Ask for a refinement of the draft",
            responses={
                200: {"model": Proposal, "description": "Waited for, and there"},
                202: {"model": RefinementAccepted},
                **problems(400, 401, 403, 404, 409, 413, 415, 422, 423, 503),
            },
            openapi_extra=request_body(RefinementRequest),
        )(self.refine)
        return router

    async def refine(
        self,
        request: Request,
        workflow_id: WorkflowId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - as documented
        prefer: Prefer = None,  # noqa: ARG002 - as documented
    ) -> Response:
        """Made from the draft as it is now. Follow it at `websocket_url`, or read the proposal until it is complete."""
        principal = await self._access.principal(request, WRITE)
        row = await self._access.workflow(principal, workflow_id)
        _, body = await read_json(request)
        asked = read_body(RefinementRequest, body)
        key = read_key(request, principal, _PATH, f"{row.id}\n".encode() + body)
        if not await self._commands.is_known(key):
            must_not_be_locked(principal, row)
        self._acceptor.refuse_if_overloaded()
        event = _event(row, asked, key, Trail.of(request.scope), by=principal.owner)
        seconds = read_wait(request)
        if not seconds:
            return await self._take(row, asked, event, key)
        with self._awaiting.of(event.data.task_id) as ends:
            accepted = await self._take(row, asked, event, key)
            return await self._awaiting.answer(accepted, ends, principal, seconds)

    async def _take(
        self, row: WorkflowRow, asked: RefinementRequest, event: Event[TaskSubmitted], key: Key | None
    ) -> Response:
        task_id = event.data.task_id
        try:
            answered = await self._commands.ask(event, key)
        except OutcomeUnknownError as error:
            raise UnansweredError(task_id, key.value if key else None) from error
        _ = answered.refusal  # a refused one makes a task that failed, and a proposal that says so
        created_at = answered.event.time or datetime.now(UTC)
        if answered.outcome is None:
            self._nursery.add(Young(task_id, row.id, row.tenant, row.owner, asked, created_at))
        if not answered.replayed:
            self._metrics.submitted("normal")
        proposal_id = derived_id(task_id, "proposal")
        accepted = {
            "proposal_id": proposal_id,
            "thread_id": task_id,
            "status": "processing",
            "websocket_url": f"/api/ws/refinements/{task_id}",
            "created_at": created_at,
        }
        return json_answer(accepted, 202, {"Location": f"/api/proposals/{proposal_id}", **answered.headers})


def _event(
    row: WorkflowRow, asked: RefinementRequest, key: Key | None, trail: Trail, *, by: str
) -> Event[TaskSubmitted]:
    context: JsonObject = {
        name: value
        for name, value in (
            ("context_file_path", asked.context_file_path),
            ("context_selection", asked.context_selection),
        )
        if value is not None
    }
    spec = TaskSpec(
        kind="refinement",
        prompt=asked.instructions,
        context=TaskContext(data=context or None),
        workflow_id=row.id,
        budget=_BUDGET,
    )
    session = SessionSpec(kind="workflow", title=row.name)
    return submission(
        spec, key, trail, tenant=row.tenant, owner=row.owner, by=by, session=session, session_id=str(row.id)
    )
