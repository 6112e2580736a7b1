"""The workflow's rules: made once, its draft changed by approvals and discards, published as numbered versions of
which one is deployed, and by nobody but who holds its lock.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import singledispatch

from consumers.keeper import workflow_lock
from consumers.keeper.proposal import overtaken
from consumers.keeper.workflow_rows import blob_row, version_row, workflow_of, workflow_row
from consumers.keeper.workflow_state import ProposalState, WorkflowState, digests
from consumers.keeper.world import Aggregate, Effect, Key, RefusedError, State, World
from events.base import About, Event, EventData
from events.files import media_type_of, sha256_of
from events.proposal import FileSummary, ProposalApproved, ProposalEntered
from events.workflow import WorkflowAction, WorkflowChanged, WorkflowControl, WorkflowEvent
from storage.unnest import Row


def touches(event: Event[EventData]) -> Iterable[Key]:
    """The workflow that the event names."""
    data = event.data
    return (Key(WorkflowState, data.workflow_id),) if isinstance(data, WorkflowEvent | ProposalEntered) else ()


def decide(world: World, event: Event[EventData], at: datetime) -> Sequence[Effect]:
    """What a command leads to: the workflow as it will be, and proposals that no longer fit. Raises RefusedError."""
    data = event.data
    if not isinstance(data, WorkflowControl):
        return ()
    workflow = world.get(WorkflowState, data.workflow_id)
    if data.action == "create":
        return [_created(data, workflow, event)]
    if workflow is None or (workflow.tenant, workflow.owner) != (event.tenantid, event.ownerid):
        raise RefusedError("unknown_workflow")
    if data.expected_version is not None and data.expected_version != workflow.draft_version:
        raise RefusedError("stale_version")
    if data.action != "unlock" or data.by != workflow.owner:
        workflow_lock.refuse_others(workflow, data.by, at)
    return _RULES[data.action](data, workflow, world, at)


def _created(data: WorkflowControl, workflow: WorkflowState | None, event: Event[EventData]) -> Effect:
    if workflow is not None:
        raise RefusedError("workflow_exists")
    if not data.name:
        raise RefusedError("no_name")
    changed = WorkflowChanged(
        workflow_id=data.workflow_id,
        action="create",
        version=1,
        draft_version=1,
        paths=tuple(sorted(data.files)),
        by=data.by,
    )
    return Effect(changed, 1, About(event.ownerid, str(data.workflow_id), None))


def _published(data: WorkflowControl, workflow: WorkflowState, _: World, __: datetime) -> list[Effect]:
    if not workflow.draft_files:
        raise RefusedError("empty_draft")
    if digests(workflow.draft_files) == digests(workflow.published_files):
        raise RefusedError("nothing_new")
    return [_changed(data, workflow._replace(published=(workflow.published or 0) + 1))]


def _deployed(data: WorkflowControl, workflow: WorkflowState, _: World, at: datetime) -> list[Effect]:
    """A published version, and none that is deployed already."""
    if not 1 <= (data.number or 0) <= (workflow.published or 0):
        raise RefusedError("unknown_version")
    return [] if data.number == workflow.deployed else [_changed(data, _with_deployed(data, workflow, at))]


def _with_deployed(data: WorkflowControl, workflow: WorkflowState, at: datetime) -> WorkflowState:
    return workflow._replace(deployed=data.number, deployed_by=data.by, deployed_at=at)


def _locked(data: WorkflowControl, workflow: WorkflowState, _: World, at: datetime) -> list[Effect]:
    return [_changed(data, workflow_lock.locked(data, workflow, at))]


def _unlocked(data: WorkflowControl, workflow: WorkflowState, _: World, __: datetime) -> list[Effect]:
    return [] if workflow.locked_by is None else [_changed(data, workflow_lock.unlocked(workflow))]


def _discarded(data: WorkflowControl, workflow: WorkflowState, world: World, _: datetime) -> list[Effect]:
    """The draft becomes what was published last; one that is that already stays as it is."""
    if digests(workflow.draft_files) == digests(workflow.published_files):
        return []
    after = workflow._replace(draft_version=workflow.draft_version + 1, draft_files=workflow.published_files)
    return [_changed(data, after), *overtaken(world, after, after.open_proposals)]


_RULES: Mapping[WorkflowAction, Callable[[WorkflowControl, WorkflowState, World, datetime], list[Effect]]] = {
    "publish": _published,
    "discard": _discarded,
    "deploy": _deployed,
    "lock": _locked,
    "unlock": _unlocked,
}


def _changed(data: WorkflowControl, after: WorkflowState) -> Effect:
    changed = WorkflowChanged(
        workflow_id=after.id,
        action=data.action,
        version=after.version + 1,
        draft_version=after.draft_version,
        paths=tuple(sorted(after.draft_files)),
        published=after.published,
        deployed=after.deployed,
        locked_by=after.locked_by,
        locked_until=after.locked_until,
        by=data.by,
    )
    return Effect(changed, changed.version, About(after.owner, str(after.id), None))


def evolve(world: World, event: Event[EventData], at: datetime) -> None:
    """Put the workflow as it is after this event, and the rows that the event leaves beside it."""
    data = event.data
    if isinstance(data, WorkflowControl) and data.action == "create":
        _bear(data, world, event, at)
        return
    named = data.workflow_id if isinstance(data, WorkflowEvent | ProposalEntered) else None
    workflow = None if named is None else world.get(WorkflowState, named)
    if workflow is not None and (after := _noted(data, workflow, world, event, at)) is not workflow:
        world.put(workflow.id, after._replace(updated_at=at))


def _bear(data: WorkflowControl, world: World, event: Event[EventData], at: datetime) -> None:
    for content in data.files.values():
        world.add("texts", (event.tenantid, sha256_of(content)), blob_row(event.tenantid, content))
    files = {
        path: FileSummary(sha256=sha256_of(content), size=len(content.encode()), media_type=media_type_of(path))
        for path, content in data.files.items()
    }
    born = WorkflowState(
        id=data.workflow_id,
        tenant=event.tenantid,
        owner=event.ownerid,
        name=data.name or "",
        description=data.description,
        body_sha256=data.body_sha256,
        created_at=at,
        version=1,
        draft_version=1,
        draft_files=files,
        published=None,
        published_files={},
        open_proposals=(),
        updated_at=at,
    )
    world.put(born.id, born)


@singledispatch
def _noted(_: EventData, workflow: WorkflowState, __: World, ___: Event[EventData], ____: datetime) -> WorkflowState:
    return workflow


@_noted.register
def _noted_command(
    data: WorkflowControl, workflow: WorkflowState, world: World, event: Event[EventData], at: datetime
) -> WorkflowState:
    if data.action == "publish":
        number = (workflow.published or 0) + 1
        world.add("published", (workflow.id, number), version_row(workflow, number, data.by, at, event.id))
        return workflow._replace(published=number, published_files=workflow.draft_files)
    if data.action == "deploy":
        return workflow if data.number == workflow.deployed else _with_deployed(data, workflow, at)
    if data.action in ("lock", "unlock"):
        return workflow_lock.locked(data, workflow, at) if data.action == "lock" else workflow_lock.unlocked(workflow)
    if digests(workflow.draft_files) == digests(workflow.published_files):
        return workflow
    return workflow._replace(draft_version=workflow.draft_version + 1, draft_files=workflow.published_files)


@_noted.register
def _noted_change(
    data: WorkflowChanged, workflow: WorkflowState, _: World, __: Event[EventData], ___: datetime
) -> WorkflowState:
    return workflow._replace(version=data.version)


@_noted.register
def _noted_proposal(
    data: ProposalEntered, workflow: WorkflowState, world: World, _: Event[EventData], __: datetime
) -> WorkflowState:
    others = tuple(other for other in workflow.open_proposals if other != data.proposal_id)
    if data.status == "pending":
        others = (*others, data.proposal_id)
    found = world.get(ProposalState, data.proposal_id)
    after = workflow if others == workflow.open_proposals else workflow._replace(open_proposals=others)
    if isinstance(data, ProposalApproved) and found is not None and found.files is not None:
        after = after._replace(draft_version=after.draft_version + 1, draft_files=found.files)
    return after


def _row_of(state: State) -> tuple[str, Row]:
    if not isinstance(state, WorkflowState):
        raise TypeError
    return "workflows", workflow_row(state)


def _kin(state: State) -> Iterable[Key]:
    """The proposals that a change of the draft may overtake."""
    return [Key(ProposalState, one) for one in state.open_proposals] if isinstance(state, WorkflowState) else ()


AGGREGATE = Aggregate(
    kind=WorkflowState,
    table="workflow",
    handles=(WorkflowEvent, ProposalEntered),
    touches=touches,
    decide=decide,
    evolve=evolve,
    state_of=workflow_of,
    row_of=_row_of,
    kin=_kin,
)
