"""Commands about workflows: published, and answered with what the keeper made of them."""

from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from events.base import Event, EventData
from events.workflow import WorkflowControl
from gateway.accept import SOURCE
from gateway.auth.bearer import Principal
from gateway.commands import KEPT, Answered, Commands
from gateway.http.answers import json_answer
from gateway.http.preferences import Key
from gateway.trail import Trail
from gateway.workflows.access import must_not_be_locked
from gateway.workflows.errors import workflow_refusal
from storage.workflows import WorkflowRow

HOME = "/api/workflows"


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose workflow it is."""

    tenant: str
    owner: str


async def asked_of_keeper(
    commands: Commands, request: Request, whose: Whose, data: WorkflowControl, key: Key | None
) -> Answered:
    """What became of a command. Raises what the keeper refused it for."""
    event: Event[EventData] = Event.first(
        data,
        source=SOURCE,
        tenant=whose.tenant,
        owner=whose.owner,
        session_id=str(data.workflow_id),
        event_id=key.event_id if key else None,
        traceparent=Trail.of(request.scope).traceparent,
    )
    answered = await commands.ask(event, key)
    if answered.refusal is not None:
        raise workflow_refusal(answered.refusal)
    return answered


async def asked_about(
    commands: Commands,
    request: Request,
    principal: Principal,
    row: WorkflowRow,
    data: WorkflowControl,
    *,
    key: Key | None,
) -> Answered:
    """The same about a workflow that is there. What is locked is not asked for: the refusal would use up the key."""
    may_unlock = data.action == "unlock" and principal.owner == row.owner
    if not may_unlock and not await commands.is_known(key):
        must_not_be_locked(principal, row)
    return await asked_of_keeper(commands, request, Whose(row.tenant, row.owner), data, key)


def kept_answer(workflow_id: UUID, headers: dict[str, str]) -> Response:
    """202: the log has it, the database will follow."""
    body = {"id": workflow_id, "message": KEPT}
    return json_answer(body, 202, {"Location": f"{HOME}/{workflow_id}", **headers})
