"""A proposal's life: what each event makes of it, and which rows it leaves beside it."""

from datetime import datetime
from functools import singledispatch

from consumers.keeper.refinement import proposal_of_task, workflow_for
from consumers.keeper.snapshot import noted_snapshot
from consumers.keeper.workflow_state import ProposalState, proposal_id
from consumers.keeper.world import World
from events.base import Event, EventData
from events.proposal import ProposalEntered, ProposalEvent, ProposalExtracted, ProposalShare
from events.run import RunFiles
from events.task import TaskSubmitted


def evolve(world: World, event: Event[EventData], at: datetime) -> None:
    """Put the proposal as it is after this event, and the rows that the event leaves beside it."""
    data = event.data
    if isinstance(data, TaskSubmitted):
        _bear(data, world, event, at)
        return
    found = world.get(ProposalState, data.proposal_id) if isinstance(data, ProposalEvent) else None
    if isinstance(data, RunFiles):
        found = proposal_of_task(world, event)
    if found is not None:
        after = _noted(data, found, world, event, at)
        if after is not found:
            world.put(found.id, after._replace(updated_at=at))


def _bear(data: TaskSubmitted, world: World, event: Event[EventData], at: datetime) -> None:
    if data.spec.kind != "refinement" or (workflow := workflow_for(data, world, event)) is None:
        return
    born = ProposalState(
        id=proposal_id(data.task_id),
        task_id=data.task_id,
        workflow_id=workflow.id,
        tenant=event.tenantid,
        owner=event.ownerid,
        created_at=at,
        base_version=workflow.draft_version,
        base_files=workflow.draft_files,
        status="processing",
        version=1,
        execution_id=None,
        run_id=None,
        snapshot_id=None,
        snapshot_seq=None,
        files=None,
        parts={},
        digest=None,
        summary=None,
        ready_at=None,
        expires_at=None,
        decided_by=None,
        decided_at=None,
        reason=None,
        conflicts=None,
        driving_id=None,
        updated_at=at,
    )
    if world.get(ProposalState, born.id) is None:
        world.put(born.id, born)


@singledispatch
def _noted(_: EventData, found: ProposalState, __: World, ___: Event[EventData], ____: datetime) -> ProposalState:
    return found


@_noted.register
def _noted_files(
    data: RunFiles, found: ProposalState, world: World, event: Event[EventData], _: datetime
) -> ProposalState:
    return noted_snapshot(found, data, world, event.id)


@_noted.register
def _noted_extract(
    data: ProposalExtracted, found: ProposalState, _: World, __: Event[EventData], ___: datetime
) -> ProposalState:
    return found._replace(summary=data.summary)


@_noted.register
def _noted_share(
    data: ProposalShare, found: ProposalState, world: World, _: Event[EventData], at: datetime
) -> ProposalState:
    world.add("shared", (found.id, data.grantee), (found.id, data.grantee, data.access, data.by, at))
    return found


@_noted.register
def _noted_state(
    data: ProposalEntered, found: ProposalState, _: World, event: Event[EventData], at: datetime
) -> ProposalState:
    after = found._replace(status=data.status, version=data.version, reason=data.reason, driving_id=None)
    if data.status == "extracting":
        return after._replace(digest=data.digest, driving_id=event.id)
    if data.status == "pending":
        return after._replace(ready_at=at, expires_at=data.expires_at)
    return after._replace(decided_by=data.by, decided_at=at, conflicts=data.conflicts or None)
