"""The tables. Migrations build them (a test compares); only the keeper writes them (DESIGN rule 3)."""

from storage.models.agent import agent
from storage.models.archive import ARCHIVED, archive, archived_task
from storage.models.base import metadata
from storage.models.checkpoint import checkpoint, checkpoint_line, task_checkpoint
from storage.models.context import context, context_change, context_shelf
from storage.models.log import event_gap, event_log, event_repeat, keeper, outbox
from storage.models.session import message, placeholder, session
from storage.models.task import run, task, tool_call, verdict
from storage.models.usage import tenant_usage
from storage.models.workflow import blob, proposal, proposal_access, workflow, workflow_version

__all__ = [
    "ARCHIVED",
    "agent",
    "archive",
    "archived_task",
    "blob",
    "checkpoint",
    "checkpoint_line",
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
    "task_checkpoint",
    "tenant_usage",
    "tool_call",
    "verdict",
    "workflow",
    "workflow_version",
]
