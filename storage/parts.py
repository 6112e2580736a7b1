"""The parts of the keeper's one write statement: which rows a batch may write, and how (DESIGN 4).

A new table of the fold is one line in `PARTS` and, if the fold reads it back by id, one in `READS`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from sqlalchemy import Table

from storage.models import (
    agent,
    blob,
    checkpoint,
    checkpoint_line,
    context,
    context_change,
    context_shelf,
    event_gap,
    event_log,
    event_repeat,
    message,
    outbox,
    placeholder,
    proposal,
    proposal_access,
    run,
    session,
    task,
    task_checkpoint,
    tenant_usage,
    tool_call,
    verdict,
    workflow,
    workflow_version,
)
from storage.unnest import Rows, columns_of

LEASE = timedelta(seconds=2)
TASK_COLUMNS = columns_of(task)
TASK_LIFE = TASK_COLUMNS[TASK_COLUMNS.index("status") :]
TASK_FOLD = (
    *("id", "tenant", "owner", "session_id", "kind", "priority", "required_capabilities", "routing", "deadline_at"),
    *("created_at", "hopcount", "parent_id", "root_id", "course", "effects_done"),
    *TASK_LIFE,
)
TASK_STEERED = ("deadline_at", "course", "effects_done", *TASK_LIFE)
TASK_PLANNED = ("spec", *TASK_STEERED)
_OF_SPEC = "spec->'budget' AS budget, spec->'depends_on' AS depends_on"
LOG_COLUMNS = columns_of(event_log)
RUN_COLUMNS = columns_of(run)
_ONCE = "ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class Part:
    """Rows for one table, as tuples in the order of `columns`: inserted, or (`updates`) set where `id` matches."""

    table: Table
    columns: tuple[str, ...]
    conflict: str = ""
    updates: bool = False

    def write(self, first: int) -> tuple[str, int]:
        """The data-modifying CTE with its parameters from `first` on, and the first parameter after them."""
        rows = Rows(self.table, self.columns, first)
        if self.updates:
            assignments = ", ".join(f"{name} = v.{name}" for name in self.columns if name != "id")
            source = f"({rows.select()}) AS v({', '.join(rows.names)})"
            statement = f"UPDATE {self.table.name} t SET {assignments} FROM {source} WHERE t.id = v.id AND {_LEASED}"
            return statement, rows.next
        names = ", ".join(rows.names)
        statement = f"INSERT INTO {self.table.name} ({names}) {rows.select()} WHERE {_LEASED} {self.conflict}"
        return statement, rows.next


_LEASED = "EXISTS (SELECT FROM lease)"


def inserted(table: Table, conflict: str = "") -> Part:
    """New rows, whole."""
    return Part(table, columns_of(table), conflict)


def upserted(table: Table, *, only: Iterable[str] | None = None) -> Part:
    """Whole rows, new or in place of the old one with the same primary key; `only` these columns are replaced."""
    keys = [column.name for column in table.primary_key.columns]
    replaced = list(only) if only is not None else [name for name in columns_of(table) if name not in keys]
    assignments = ", ".join(f"{name} = EXCLUDED.{name}" for name in replaced)
    return Part(table, columns_of(table), f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {assignments}")


LOG_PARTS = ("logged", "repeated", "gaps", "sent")
"""What the log itself is kept in; the other parts follow from it and can be rebuilt."""

PARTS: dict[str, Part] = {
    "logged": inserted(event_log),
    "repeated": inserted(event_repeat, _ONCE),
    "gaps": inserted(event_gap, _ONCE),
    "born": inserted(task),
    "ran": upserted(run, only=("status", "finished_at", "tokens", "cost_usd", "ms", "error")),
    "judged": inserted(verdict, _ONCE),
    "called": inserted(tool_call, _ONCE),
    "sent": inserted(outbox),
    "changed": Part(task, ("id", *TASK_LIFE), updates=True),
    "steered": Part(task, ("id", *TASK_STEERED), updates=True),
    "planned": Part(task, ("id", *TASK_PLANNED), updates=True),
    "texts": inserted(blob, _ONCE),
    "workflows": upserted(workflow),
    "published": inserted(workflow_version, _ONCE),
    "proposed": upserted(proposal),
    "shared": upserted(proposal_access),
    "sessions": upserted(session),
    "said": inserted(message),
    "agents": upserted(agent),
    "placeholders": upserted(placeholder, only=("names",)),
    "contexts": upserted(context),
    "context_changes": upserted(context_change),
    "context_shelves": upserted(context_shelf),
    "checkpoints": upserted(checkpoint),
    "checkpoint_lines": upserted(checkpoint_line),
    "begun_with": upserted(task_checkpoint),
    "used": upserted(tenant_usage),
}

READS: dict[str, str] = {
    "spec": "SELECT id, spec FROM task WHERE id = ANY($1::uuid[])",
    "task": f"SELECT {', '.join(TASK_FOLD)}, {_OF_SPEC} FROM task WHERE id = ANY($1::uuid[])",
    "workflow": f"SELECT {', '.join(columns_of(workflow))} FROM workflow WHERE id = ANY($1::uuid[])",
    "proposal": f"SELECT {', '.join(columns_of(proposal))} FROM proposal WHERE id = ANY($1::uuid[])",
    "agent": f"SELECT {', '.join(columns_of(agent))} FROM agent WHERE id = ANY($1::text[])",
    "placeholder": f"SELECT {', '.join(columns_of(placeholder))} FROM placeholder WHERE id = ANY($1::text[])",
    "session": f"SELECT {', '.join(columns_of(session))} FROM session WHERE id = ANY($1::text[])",
    "tool_call": (
        "SELECT u.id FROM unnest($1::text[]) AS u(id) JOIN tool_call t"
        " ON t.run_id = split_part(u.id, '/', 1)::uuid AND t.seq = split_part(u.id, '/', 2)::int"
    ),
    "context": f"SELECT {', '.join(columns_of(context))} FROM context WHERE id = ANY($1::uuid[])",
    "checkpoint": f"SELECT {', '.join(columns_of(checkpoint))} FROM checkpoint WHERE id = ANY($1::text[])",
    "checkpoint_line": "SELECT id, last_seq FROM checkpoint_line WHERE id = ANY($1::text[])",
    "tenant_usage": "SELECT id, sessions, month, tokens FROM tenant_usage WHERE id = ANY($1::text[])",
    "context_shelf": "SELECT id, open FROM context_shelf WHERE id = ANY($1::text[])",
}
"""How the fold reads the states it needs, by table."""

FOLDED = tuple(dict.fromkeys(part.table.name for name, part in PARTS.items() if name not in LOG_PARTS))
"""The tables that follow from the log alone."""

_LEASE_PART = (
    "lease AS (UPDATE keeper SET epoch = $4, position = $5,"
    f" until = clock_timestamp() + interval '{LEASE.total_seconds()} s'"
    " WHERE id = 1 AND holder = $1 AND epoch = $2 AND position = $3 RETURNING 1)"
)


@cache
def write_statement(names: tuple[str, ...], *, read_back: bool) -> str:
    """The one write statement for a batch that touches these parts: what has no rows costs nothing.

    Parameters 1-5 are holder, old and new position; then one array a column, part by part; last the ids read back.
    """
    place = 6
    written = [_LEASE_PART]
    for name in names:
        statement, place = PARTS[name].write(place)
        written.append(f"{name} AS ({statement})")
    if read_back:
        written.append(f"read_back AS (DELETE FROM outbox WHERE event_id = ANY(${place}::text[]) AND {_LEASED})")
    return "WITH " + ",\n".join(written) + "\nSELECT count(*) FROM lease"
