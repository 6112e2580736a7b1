"""What a tenant uses: sessions at work and tokens of the month, and what is refused beyond its quota (3.3.TEN).

The quota is what the gateway has stamped on the request, so a rebuild refuses what was refused. Without one nothing is:
what is used is counted all the same.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from consumers.keeper.entering import steer
from consumers.keeper.state import TaskState
from consumers.keeper.world import Aggregate, Key, RefusedError, State, World
from events.base import Event, EventData
from events.ids import derived_text
from events.run import RunFinished
from events.task import FINAL, QUOTA_EXCEEDED, TaskControl, TaskEntered, TaskSubmitted
from storage.unnest import Row

_BEGINS = ("start", "resume", "retry", "replay", "restore")


class TenantUsage(NamedTuple):
    """What one tenant uses: `sessions` that have begun and not ended, `tokens` of runs that ended in that month."""

    id: str
    sessions: int = 0
    month: str = ""
    tokens: int = 0

    def tokens_in(self, at: datetime) -> int:
        """The tokens of the month that it is."""
        return self.tokens if self.month == month_of(at) else 0


def month_of(at: datetime) -> str:
    """The month as `2026-01`."""
    return f"{at:%Y-%m}"


def is_too_much(world: World, event: Event[EventData], at: datetime) -> bool:
    """Whether a new task is more than its tenant's quota allows."""
    data = event.data
    if not isinstance(data, TaskSubmitted) or not _has_quota(event):
        return False
    begins = data.session is not None and data.session.kind == "work" and not data.spec.hold
    return _is_over(world, event, at, sessions=begins)


def refuse_beyond(world: World, event: Event[EventData], task: TaskState, at: datetime) -> None:
    """Raise RefusedError if a command would let more begin than the tenant's quota allows."""
    data = event.data
    if isinstance(data, TaskControl) and data.action in _BEGINS and _has_quota(event):
        begins = _is_sessions_own(task) and not task.course.counted
        if _is_over(world, event, at, sessions=begins):
            raise RefusedError(QUOTA_EXCEEDED)


def _has_quota(event: Event[EventData]) -> bool:
    return event.quotasessions is not None or event.quotatokens is not None


def _is_over(world: World, event: Event[EventData], at: datetime, *, sessions: bool) -> bool:
    used = world.get(TenantUsage, event.tenantid) or TenantUsage(event.tenantid)
    if sessions and event.quotasessions is not None and used.sessions >= event.quotasessions:
        return True
    return event.quotatokens is not None and used.tokens_in(at) >= event.quotatokens


def _is_sessions_own(task: TaskState) -> bool:
    """Whether a session's status is this task's, and not a turn's: it opened the session."""
    return task.session_id is not None and task.kind == "goal" and task.session_id == derived_text(task.id, "session")


def touches(event: Event[EventData]) -> Iterable[Key]:
    """The tenant's, where it is likely to be asked for."""
    data = event.data
    spent = isinstance(data, RunFinished) and data.usage.tokens > 0
    of_session = event.sessionid is not None and isinstance(data, TaskSubmitted | TaskControl | RunFinished)
    return (Key(TenantUsage, event.tenantid),) if spent or of_session or _has_quota(event) else ()


def evolve(world: World, event: Event[EventData], at: datetime) -> None:
    """Count what has begun, ended, or been spent. After all others: they decide by what was there before."""
    data = event.data
    if isinstance(data, RunFinished) and data.usage.tokens > 0:
        _count_tokens(world, event.tenantid, data.usage.tokens, at)
    task = None if event.taskid is None else world.get(TaskState, event.taskid)
    if task is None or not _is_sessions_own(task):
        return
    is_at_work = task.status not in FINAL and not task.course.hold
    if is_at_work != task.course.counted:
        used = world.get(TenantUsage, task.tenant) or TenantUsage(task.tenant)
        world.put(used.id, used._replace(sessions=used.sessions + (1 if is_at_work else -1)))
        world.put(task.id, steer(task, counted=is_at_work))


def _count_tokens(world: World, tenant: str, tokens: int, at: datetime) -> None:
    used = world.get(TenantUsage, tenant) or TenantUsage(tenant)
    world.put(tenant, used._replace(month=month_of(at), tokens=used.tokens_in(at) + tokens))


def _state_of(values: dict[str, object]) -> TenantUsage:
    return TenantUsage(**values)  # type: ignore[arg-type]  # the columns are the fields, a test compares them


def _row_of(state: State) -> tuple[str, Row]:
    return "used", tuple(state)


AGGREGATE = Aggregate(
    kind=TenantUsage,
    table="tenant_usage",
    handles=(TaskSubmitted, TaskEntered, TaskControl, RunFinished),
    touches=touches,
    evolve=evolve,
    state_of=_state_of,
    row_of=_row_of,
)
