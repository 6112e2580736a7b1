"""A task, its runs, the verdict on it, and the tools its runs used."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, Table, Text, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from storage.models.base import Instant, metadata

task = Table(
    "task",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("session_id", Text),
    Column("kind", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("spec", JSONB, nullable=False, comment="events.task.TaskSpec"),
    Column("required_capabilities", JSONB, nullable=False),
    Column("routing", JSONB, comment="events.task.Routing, if its owner wishes anything of the agent"),
    Column("idempotency_key", Text),
    Column("body_sha256", Text),
    Column("correlation_id", Text, nullable=False),
    Column("traceparent", Text),
    Column("hopcount", Integer, nullable=False),
    Column("deadline_at", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("parent_id", Uuid, comment="the task that made this one"),
    Column("root_id", Uuid, comment="the first of its ancestors"),
    Column("course", JSONB, comment="hold, children, dependants, spending: what is not as in every task"),
    Column("effects_done", Boolean, comment="whether a run that was stopped had done its work all the same"),
    # From here on: what changes in a task's life.
    Column("status", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("reason", Text, comment="why it is where it is: a stable code"),
    Column("detail", Text, comment="the same for a person"),
    Column("agent_id", Text),
    Column("run_id", Uuid),
    Column("execution_id", Uuid),
    Column("heartbeat_at", Instant),
    Column("due_at", Instant, comment="when the janitor wakes a waiting task"),
    Column("redacted", JSONB, comment="field -> text the agent gets instead"),
    Column("result", JSONB),
    Column("error", JSONB, comment="events.task.TaskError"),
    Column("driving_id", Text, nullable=False, comment="the event that must make it move on"),
    Column("updated_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Index("task_owner_idx", "tenant", "owner", text("created_at DESC"), text("id DESC")),
    Index("task_session_idx", "session_id", "created_at", postgresql_where=text("session_id IS NOT NULL")),
    Index("task_parent_idx", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
    # Neither column changes while a task is open, so its updates stay in the page (HOT) and touch no index.
    Index("task_open_idx", "deadline_at", postgresql_where=text("finished_at IS NULL")),
    postgresql_with={"fillfactor": 70},
)

run = Table(
    "run",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("task_id", Uuid, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("execution_id", Uuid, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("tokens", BigInteger),
    Column("cost_usd", Double),
    Column("ms", Double),
    Column("error", JSONB),
    UniqueConstraint("task_id", "attempt"),
    Index("run_agent_idx", "agent_id", text("finished_at DESC"), postgresql_where=text("finished_at IS NOT NULL")),
)

verdict = Table(
    "verdict",
    metadata,
    Column("task_id", Uuid, primary_key=True),
    Column("decision", Text, nullable=False),
    Column("findings", JSONB, nullable=False, comment="never the matched text"),
    Column("reason", Text),
    Column("rules_version", Text, nullable=False),
    Column("engine", Text, nullable=False),
    Column("us", Integer, nullable=False),
    Column("checked_at", Instant, nullable=False),
)

tool_call = Table(
    "tool_call",
    metadata,
    Column("execution_id", Uuid, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("run_id", Uuid, nullable=False, index=True),
    Column("task_id", Uuid, nullable=False, index=True),
    Column("tool", Text, nullable=False),
    Column("parameters", JSONB, nullable=False),
    Column("result", JSONB),
    Column("status", Text, nullable=False),
    Column("called_at", Instant, nullable=False),
)
