"""What an event means for the live state of the agents."""

from events.agent import AgentEntered, AgentHeartbeat
from events.base import Event, EventData
from events.run import CALLER_LOST, RUN_LOST, RunProgress
from events.task import (
    TaskEntered,
    TaskFailed,
    TaskPartial,
    TaskReady,
    TaskRunning,
    TaskSucceeded,
    TaskTimedOut,
    TaskWaiting,
)
from storage.live.heard import Outcome, beat, release, renew, state, withdraw
from storage.live.store import Op
from storage.live.view import key_of, member_of

_GIVEN_UP = frozenset({RUN_LOST, "declined"})


def ops_of(event: Event[EventData]) -> list[Op]:
    """The operations for one event, in order; none for what says nothing about an agent."""
    data = event.data
    if isinstance(data, TaskEntered):
        return _of_task(data, event.id)
    if isinstance(data, RunProgress):
        return [renew(member_of(data.task_id, data.attempt))]
    if isinstance(data, AgentEntered):
        return [state(event.tenantid, event.ownerid, data, event.id)]
    if isinstance(data, AgentHeartbeat) and data.status != "offline":
        return [beat(key_of(event.tenantid, data.agent_id), event.id)]
    return []


def _of_task(data: TaskEntered, cause: str) -> list[Op]:
    if _begins(data):
        return []
    if isinstance(data, TaskReady):
        return [release(member_of(data.task_id, data.attempt - 1), _before(data), cause)] if data.attempt > 1 else []
    member = member_of(data.task_id, data.attempt)
    if isinstance(data, TaskWaiting) and data.reason != "retry":
        return [withdraw(member, data.version, cause)] if data.from_status == "ready" else []
    return [release(member, outcome_of(data), cause)]


def _begins(entered: TaskEntered) -> bool:
    return isinstance(entered, TaskRunning) and entered.run_outcome is None


def outcome_of(entered: TaskEntered) -> Outcome:
    """What the end of an attempt says of its agent; nothing, if it was none of the agent's doing."""
    match entered:
        case TaskSucceeded() | TaskRunning(run_outcome="succeeded"):
            return "s"
        case TaskPartial() | TaskRunning(run_outcome="partial"):
            return "p"
        case TaskWaiting(reason="retry"):
            return "f"
        case TaskTimedOut(from_status="running"):
            return "f"
        # Its own run.finished said so, nobody else did; that who called it ended is none of its doing.
        case TaskFailed(run_id=run_id, reason=reason) if run_id is not None and reason != CALLER_LOST:
            return "f"
    return ""


def _before(ready: TaskReady) -> Outcome:
    """What a new attempt says of the agent of the one before."""
    return "f" if ready.reason in _GIVEN_UP else ""
