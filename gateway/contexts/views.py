"""Contexts as JSON."""

from collections.abc import Sequence

from events.context_data import differences
from gateway.tasks.views import View, encode_place
from storage.contexts import ContextChangeRow, ContextRow, ContextSummary, ContextTotals
from storage.tasks import Place


def summary_view(row: ContextSummary) -> View:
    """A context in a list."""
    return {
        "id": row.id,
        "scope": row.scope,
        "session_id": row.session_id,
        "agent_id": row.agent_id,
        "version": row.version,
        "size_bytes": row.size,
        "key_count": row.keys,
        "ttl_seconds": row.ttl_seconds,
        "shared_from": row.shared_from,
        "created_by": row.owner,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "updated_by": row.updated_by,
        "expires_at": row.expires_at,
    }


def context_view(row: ContextRow) -> View:
    """GET /api/v1/contexts/{id}."""
    return {**summary_view(row.about), "data": row.data}


def page_view(rows: Sequence[ContextSummary], limit: int) -> View:
    """A page; there is one more row than `limit` if another page follows."""
    last = rows[limit - 1] if len(rows) > limit else None
    following = encode_place(Place(last.created_at, last.id)) if last is not None else None
    return {"items": [summary_view(row) for row in rows[:limit]], "next_cursor": following}


def totals_view(session_id: str, totals: ContextTotals) -> View:
    """A session's contexts in figures."""
    return {
        "session_id": session_id,
        "contexts": totals.contexts,
        "key_count": totals.keys,
        "size_bytes": totals.size,
        "updated_at": totals.updated_at,
        "expires_at": totals.expires_at,
    }


def diff_view(one: ContextRow, other: ContextRow) -> View:
    """How the other differs from the one."""
    diff = differences(one.data, other.data)
    return {
        "one": one.about.id,
        "one_version": one.about.version,
        "other": other.about.id,
        "other_version": other.about.version,
        "added": diff.added,
        "removed": diff.removed,
        "changed": {place: {"one": here, "other": there} for place, (here, there) in diff.changed.items()},
        "conflicts": sorted(diff.changed),
    }


def history_view(rows: Sequence[ContextChangeRow], limit: int) -> View:
    """A page of changes; one more row than `limit` if another page follows."""
    items = [
        {
            "version": row.version,
            "action": row.action,
            "changed_by": row.changed_by,
            "changed_at": row.changed_at,
            "keys": row.keys,
            "changes": row.changes,
            "conflicts": row.conflicts,
            "sources": row.sources,
            "event_id": row.event_id,
        }
        for row in rows[:limit]
    ]
    return {"items": items, "next_cursor": rows[limit - 1].version if len(rows) > limit else None}
