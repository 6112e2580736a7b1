"""From the request to the door: a task is born, screened, and passes or waits."""

from datetime import datetime, timedelta

from consumers.keeper import family, gate, session
from consumers.keeper.entering import enter, fail
from consumers.keeper.refinement import UNKNOWN_WORKFLOW
from consumers.keeper.state import Birth, Course, TaskState
from consumers.keeper.world import Effect, RefusedError, World
from events.base import Event, EventData
from events.task import TaskChecked, TaskError, TaskSubmitted, TaskUnchecked
from events.workflow import LOCKED

DEFAULT_DEADLINE = timedelta(hours=24)
VERDICT = "verdict"
_REFUSALS = family.REFUSALS | session.REFUSALS.keys() | {UNKNOWN_WORKFLOW, LOCKED}


def submitted(data: TaskSubmitted, world: World, event: Event[EventData], at: datetime) -> list[Effect]:
    """Nothing follows at once from a new task, unless it cannot be taken up."""
    refusal = family.refusal(world, event, data) or session.refusal(world, event, data, at)
    if refusal is None:
        return []
    return [fail(born(data, world, event, at), *refusal)]


def born(data: TaskSubmitted, world: World, event: Event[EventData], at: datetime) -> TaskState:
    """The task as it begins."""
    spec = data.spec
    hopcount = family.generation(world, event, spec.parent_id)
    latest = family.latest_deadline(world, spec.parent_id)
    deadline_at = spec.deadline_at or at + DEFAULT_DEADLINE
    return TaskState(
        id=data.task_id,
        tenant=event.tenantid,
        owner=event.ownerid,
        session_id=event.sessionid,
        kind=spec.kind,
        required_capabilities=spec.required_capabilities,
        deadline_at=deadline_at if latest is None else min(deadline_at, latest),
        status="submitted",
        version=1,
        attempt=0,
        driving_id=event.id,
        created_at=at,
        updated_at=at,
        priority=spec.priority,
        routing=spec.routing,
        parent_id=spec.parent_id,
        root_id=family.root_of(world, spec.parent_id),
        hopcount=hopcount,
        budget=spec.budget,
        depends_on=spec.depends_on,
        course=Course(hold=True) if spec.hold else Course(divided=True) if spec.steps else Course(),
        birth=Birth(
            spec=spec,
            idempotency_key=data.idempotency_key,
            body_sha256=data.body_sha256,
            correlation_id=event.correlationid,
            traceparent=event.traceparent,
        ),
    )


def checked(verdict: TaskChecked, task: TaskState, world: World) -> list[Effect]:
    """The verdict decides whether the task may go on at all; the gate, whether it may now."""
    if not awaits_verdict(task):
        raise RefusedError("already_checked")
    if verdict.decision == "block":
        error = TaskError(code="blocked_by_policy", message=verdict.reason or "The request was blocked by policy.")
        return [enter(task, "blocked", reason=error.code, detail=verdict.reason, error=error)]
    return [gate.pass_or_wait(world, task, attempt=max(1, task.attempt))]


def unchecked(data: TaskUnchecked, task: TaskState, at: datetime) -> list[Effect]:
    """Without a verdict nothing goes on; the janitor has it asked for again."""
    if not awaits_verdict(task):
        raise RefusedError("already_checked")
    due_at = at + timedelta(seconds=data.retry_after)
    return [enter(task, "waiting", reason=VERDICT, detail=data.reason, due_at=due_at)]


def awaits_verdict(task: TaskState) -> bool:
    """Whether nothing was judged yet."""
    return task.status == "submitted" or (task.status == "waiting" and task.reason == VERDICT)


def was_refused(task: TaskState) -> bool:
    """Whether it was never taken up: nobody knows of it whom it names, and what it names may be another's."""
    return task.status == "failed" and task.attempt == 0 and task.reason in _REFUSALS
