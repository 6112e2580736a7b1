"""The tables. Migrations build them (a test compares); only the keeper writes them (DESIGN rule 3)."""

from storage.models.agent import agent
from storage.models.base import metadata
from storage.models.context import context, context_change, context_shelf
from storage.models.log import event_gap, event_log, event_repeat, keeper, outbox
from storage.models.session import message, placeholder, session
from storage.models.task import run, task, tool_call, verdict
from storage.models.workflow import blob, proposal, proposal_access, workflow, workflow_version

__all__ = [
    "agent",
    "blob",
    "context",
    "context_change",
    "context_shelf",
    "event_gap",
    "event_log",
    "event_repeat",
    "keeper",
    "message",
    "metadata",
    "outbox",
    "placeholder",
    "proposal",
    "proposal_access",
    "run",
    "session",
    "task",
    "tool_call",
    "verdict",
    "workflow",
    "workflow_version",
]
