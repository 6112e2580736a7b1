"""Locks of workflows: while somebody holds one, nobody else changes the draft or what is made of it.

A lock lapses by itself: it is compared with the time of the event that comes upon it.
"""

from datetime import datetime, timedelta

from consumers.keeper.workflow_state import WorkflowState
from consumers.keeper.world import RefusedError
from events.workflow import LOCKED, LOCKED_FOR, WorkflowControl


def keeps_out(workflow: WorkflowState, by: str, at: datetime) -> bool:
    """Whether somebody else holds the lock at this time."""
    return workflow.locked_by not in (None, by) and workflow.locked_until is not None and at < workflow.locked_until


def refuse_others(workflow: WorkflowState, by: str, at: datetime) -> None:
    """Raise RefusedError while somebody else holds the lock."""
    if keeps_out(workflow, by, at):
        raise RefusedError(LOCKED)


def locked(data: WorkflowControl, workflow: WorkflowState, at: datetime) -> WorkflowState:
    """The workflow in the hands of who asks; whoever holds it already holds it for longer."""
    until = at + timedelta(seconds=data.ttl_seconds or LOCKED_FOR)
    return workflow._replace(locked_by=data.by, locked_at=at, locked_until=until)


def unlocked(workflow: WorkflowState) -> WorkflowState:
    """The workflow in nobody's hands."""
    if workflow.locked_by is None:
        return workflow
    return workflow._replace(locked_by=None, locked_at=None, locked_until=None)
