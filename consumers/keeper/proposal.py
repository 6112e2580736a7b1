"""The proposal's rules (requirements.md O.3): born with its refinement, pending once extracted, decided once.

A proposal fits as long as the draft holds what it held when the refinement was asked for: what is approved is exactly
what was shown. One that no longer fits is superseded in the same transaction as the change that overtook it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import singledispatch

from consumers.keeper.proposal_life import evolve
from consumers.keeper.refinement import UNKNOWN_WORKFLOW, has_files, proposal_of_task, workflow_for
from consumers.keeper.snapshot import names_what_is_known, refuse_unusable
from consumers.keeper.state import TaskState
from consumers.keeper.workflow_lock import keeps_out, refuse_others
from consumers.keeper.workflow_rows import proposal_of, proposal_row
from consumers.keeper.workflow_state import ProposalState, WorkflowState, digests
from consumers.keeper.world import Aggregate, Effect, Key, RefusedError, State, World
from events.base import About, Event, EventData
from events.files import compare, digest_of
from events.proposal import (
    PROPOSAL_EVENTS,
    ProposalDecide,
    ProposalEvent,
    ProposalExtracted,
    ProposalShare,
    ProposalStatus,
)
from events.run import RunFiles, RunFinished
from events.task import TaskCancelled, TaskEntered, TaskError, TaskFailed, TaskPartial, TaskSubmitted, TaskSucceeded
from events.workflow import LOCKED, WorkflowChanged
from storage.unnest import Row

EXPIRES_AFTER = timedelta(hours=24)
MAX_PENDING = 100
"""Undecided proposals of one workflow; the oldest makes room."""
Decided = Sequence[Effect]
_UNKNOWN = TaskError(code=UNKNOWN_WORKFLOW, message="There is no such workflow of yours.")
_LOCKED = TaskError(code=LOCKED, message="Somebody else holds the lock of the workflow.")


def touches(event: Event[EventData]) -> Iterable[Key]:
    """What the event names itself; what belongs to a task is loaded along with the task."""
    data = event.data
    if isinstance(data, ProposalEvent):
        return (Key(ProposalState, data.proposal_id),)
    if isinstance(data, TaskSubmitted) and data.spec.kind == "refinement" and data.spec.workflow_id is not None:
        return (Key(WorkflowState, data.spec.workflow_id),)
    return ()


def decide(world: World, event: Event[EventData], at: datetime) -> Decided:
    """The states that this event makes proposals enter, and what becomes of the draft. Raises RefusedError."""
    return _lead_to(event.data, world, event, at)


@singledispatch
def _lead_to(_: EventData, __: World, ___: Event[EventData], ____: datetime) -> Decided:
    """What one kind of event leads to; one registered rule a kind."""
    return ()


@_lead_to.register
def _submitted(data: TaskSubmitted, world: World, event: Event[EventData], at: datetime) -> Decided:
    """A refinement of what is not there, not its owner's, or somebody else's to change now, is a task that fails:
    nobody waits for ever.
    """
    if data.spec.kind != "refinement" or world.get(TaskState, data.task_id) is not None:
        return ()
    workflow = workflow_for(data, world, event)
    if workflow is not None and not keeps_out(workflow, data.by or event.ownerid, at):
        return ()
    error = _UNKNOWN if workflow is None else _LOCKED
    failed = TaskFailed(
        task_id=data.task_id,
        kind="refinement",
        from_status="submitted",
        version=2,
        attempt=0,
        reason=error.code,
        error=error,
    )
    return [Effect(failed, failed.version, About(event.ownerid, event.sessionid, data.task_id))]


@_lead_to.register
def _snapshot(data: RunFiles, world: World, event: Event[EventData], _: datetime) -> Decided:
    found = proposal_of_task(world, event)
    if found is not None:
        refuse_unusable(found, data)
    return ()


@_lead_to.register
def _run_finished(data: RunFinished, world: World, event: Event[EventData], _: datetime) -> Decided:
    """A run that names a snapshot we never saw is not over: it falls silent, and is tried again."""
    found = proposal_of_task(world, event)
    task = None if found is None else world.get(TaskState, found.task_id)
    if found is None or task is None or task.status != "running" or data.snapshot is None:
        return ()
    if not names_what_is_known(found, data):
        raise RefusedError("snapshot_missing")
    return ()


@_lead_to.register(TaskSucceeded)
@_lead_to.register(TaskPartial)
def _task_succeeded(data: TaskEntered, world: World, event: Event[EventData], _: datetime) -> Decided:
    found = proposal_of_task(world, event) if data.kind == "refinement" else None
    if found is None or found.status != "processing":
        return ()
    if found.files is None or not has_files(world, found):
        return [_enter(found, "expired", reason="no_files")]
    return [_enter(found._replace(digest=digest_of(digests(found.files))), "extracting")]


@_lead_to.register
def _task_cancelled(data: TaskCancelled, world: World, event: Event[EventData], _: datetime) -> Decided:
    found = proposal_of_task(world, event) if data.kind == "refinement" else None
    if found is None or found.status != "processing":
        return ()
    return [_enter(found, "expired", reason="task_cancelled")]


@_lead_to.register
def _extracted(data: ProposalExtracted, world: World, event: Event[EventData], at: datetime) -> Decided:
    found = _named(world, event, data)
    if found.status != "extracting":
        raise RefusedError("already_extracted")
    if (data.execution_id, data.snapshot.event_id) != (found.execution_id, found.snapshot_id) or found.files is None:
        raise RefusedError("stale_snapshot")
    if data.snapshot.digest != found.digest:
        raise RefusedError("digest_mismatch")
    workflow = _workflow_of(world, found)
    if not fits(found, workflow):
        return [_overtaken(found, workflow)]
    pending = _enter(found, "pending", expires_at=at + EXPIRES_AFTER)
    if len(workflow.open_proposals) < MAX_PENDING:
        return [pending]
    oldest = world.get(ProposalState, workflow.open_proposals[0])
    return [pending] if oldest is None else [pending, _enter(oldest, "superseded", reason="too_many")]


@_lead_to.register
def _decided(data: ProposalDecide, world: World, event: Event[EventData], at: datetime) -> Decided:
    found = _named(world, event, data)
    if found.status in ("processing", "extracting"):
        raise RefusedError("not_ready")
    if found.status == "superseded":
        raise RefusedError("superseded")
    if found.status != "pending":
        raise RefusedError("already_decided")
    if data.decision == "expire":
        if event.source != "/janitor":
            raise RefusedError("not_allowed")
        return [_enter(found, "expired", reason="expired")]
    if data.digest is not None and data.digest != found.digest:
        raise RefusedError("stale_digest")
    if data.decision == "reject":
        return [_enter(found, "rejected", by=data.by, reason=data.reason)]
    refuse_others(_workflow_of(world, found), data.by, at)
    return _approved(data, found, world)


@_lead_to.register
def _shared(data: ProposalShare, world: World, event: Event[EventData], _: datetime) -> Decided:
    if _named(world, event, data).owner == data.grantee:
        raise RefusedError("is_owner")
    return ()


def _approved(data: ProposalDecide, found: ProposalState, world: World) -> Decided:
    """The draft takes the proposal's files whole; what was made for the old draft goes with it."""
    workflow = _workflow_of(world, found)
    if not fits(found, workflow) or found.files is None:
        raise RefusedError("superseded")
    difference = compare(digests(workflow.draft_files), digests(found.files))
    approved = _enter(
        found,
        "approved",
        by=data.by,
        reason=data.reason,
        applied=(*difference.added, *difference.changed),
        removed=difference.removed,
    )
    after = workflow._replace(draft_version=workflow.draft_version + 1, draft_files=found.files)
    changed = WorkflowChanged(
        workflow_id=workflow.id,
        action="approve",
        version=workflow.version + 1,
        draft_version=after.draft_version,
        paths=tuple(sorted(after.draft_files)),
        published=workflow.published,
        deployed=workflow.deployed,
        locked_by=workflow.locked_by,
        locked_until=workflow.locked_until,
        by=data.by,
    )
    about = About(workflow.owner, str(workflow.id), found.task_id)
    others = tuple(other for other in workflow.open_proposals if other != found.id)
    return [approved, Effect(changed, changed.version, about), *overtaken(world, after, others)]


def overtaken(world: World, after: WorkflowState, others: Iterable[object]) -> list[Effect]:
    """What becomes of undecided proposals when the draft is as `after` says: those that do not fit are superseded."""
    found = [world.get(ProposalState, other) for other in others]
    return [_overtaken(one, after) for one in found if one is not None and not fits(one, after)]


def fits(found: ProposalState, workflow: WorkflowState) -> bool:
    """Whether the draft holds what the proposal was made from."""
    return digests(found.base_files) == digests(workflow.draft_files)


def _overtaken(found: ProposalState, after: WorkflowState) -> Effect:
    difference = compare(digests(found.base_files), digests(after.draft_files))
    return _enter(found, "superseded", reason="base_moved", conflicts=difference.paths)


def _named(world: World, event: Event[EventData], data: ProposalEvent) -> ProposalState:
    found = world.get(ProposalState, data.proposal_id)
    if found is None or (found.tenant, found.owner, found.task_id) != (event.tenantid, event.ownerid, data.task_id):
        raise RefusedError("unknown_proposal")
    return found


def _workflow_of(world: World, found: ProposalState) -> WorkflowState:
    workflow = world.get(WorkflowState, found.workflow_id)
    if workflow is None:
        raise RefusedError(UNKNOWN_WORKFLOW)
    return workflow


def _enter(
    found: ProposalState,
    status: ProposalStatus,
    *,
    by: str | None = None,
    reason: str | None = None,
    applied: tuple[str, ...] = (),
    removed: tuple[str, ...] = (),
    conflicts: tuple[str, ...] = (),
    expires_at: datetime | None = None,
) -> Effect:
    """The event that announces that the proposal enters `status`."""
    entered = PROPOSAL_EVENTS[status](
        proposal_id=found.id,
        task_id=found.task_id,
        workflow_id=found.workflow_id,
        from_status=None if found.status == "processing" else found.status,
        version=found.version + 1,
        digest=found.digest or "",
        base_version=found.base_version,
        by=by,
        reason=reason,
        applied=applied,
        removed=removed,
        conflicts=conflicts,
        expires_at=expires_at,
    )
    return Effect(entered, entered.version, About(found.owner, str(found.workflow_id), found.task_id))


def _row_of(state: State) -> tuple[str, Row]:
    if not isinstance(state, ProposalState):
        raise TypeError
    return "proposed", proposal_row(state)


AGGREGATE = Aggregate(
    kind=ProposalState,
    table="proposal",
    handles=(
        ProposalEvent,
        TaskSubmitted,
        RunFiles,
        RunFinished,
        TaskSucceeded,
        TaskPartial,
        TaskCancelled,
    ),
    touches=touches,
    decide=decide,
    evolve=evolve,
    state_of=proposal_of,
    row_of=_row_of,
    related=lambda state: (Key(WorkflowState, state.workflow_id),) if isinstance(state, ProposalState) else (),
)
