"""Agents as clients see them."""

from collections.abc import Sequence

from events.agent import EVERYONE
from events.work import stop_subject, work_durable
from storage.agents import AgentRow, Figures

View = dict[str, object]

HEARTBEAT_SECONDS = 30
_FEW = 10


def agent_view(row: AgentRow) -> View:
    """The canonical shape."""
    built_in = row.tenant == EVERYONE
    return {
        "id": row.agent_id,
        "name": row.name,
        "agent_type": row.agent_type,
        "capabilities": row.capabilities,
        "technologies": row.technologies,
        "max_concurrent_capacity": row.capacity,
        "current_tasks": row.hands_full,
        "status": row.status,
        "reason": row.reason,
        "is_available": _is_available(row),
        "performance_tier": row.tier,
        "quality": round(row.quality, 4),
        "load_level": row.load_level,
        "breaker": row.breaker,
        "built_in": built_in,
        "owner": None if built_in else row.owner,
        "endpoint_url": row.endpoint_url,
        "version": row.agent_version,
        "metadata": row.metadata,
        "reported": row.reported,
        "registered_at": row.registered_at,
        "last_heartbeat_at": row.heartbeat_at,
        "updated_at": row.updated_at,
    }


def registered_view(row: AgentRow, token: str | None, nats_url: str, signing_secret: str | None = None) -> View:
    """The agent, its token, the way to its work, and by what it knows who calls it."""
    return {
        "agent_id": row.agent_id,
        "status": row.status,
        "auth_token": token,
        "signing_secret": signing_secret,
        "heartbeat_interval_seconds": HEARTBEAT_SECONDS,
        "connection": {
            "url": nats_url,
            "user": f"{row.tenant}.{row.agent_id}",
            "inbox_prefix": f"_INBOX_agent.{row.tenant}.{row.agent_id}",
            "queue": work_durable(row.tenant, row.agent_id),
            "stop_subject": stop_subject(row.tenant, row.agent_id),
        },
        "agent": agent_view(row),
    }


def page_view(rows: Sequence[AgentRow], limit: int) -> View:
    """A page; `rows` holds one more than `limit` if there is a next one."""
    following = rows[limit - 1].agent_id if len(rows) > limit else None
    return {"items": [agent_view(row) for row in rows[:limit]], "next_cursor": following}


def performance_view(row: AgentRow, figures: Figures) -> View:
    """Its record. A cancelled run counts for nothing, a partial one half."""
    judged = figures.runs - figures.cancelled
    rate = (figures.succeeded + figures.partial / 2) / judged if judged else None
    return {
        "agent_id": row.agent_id,
        "performance_tier": row.tier,
        "quality": round(row.quality, 4),
        "breaker": row.breaker,
        "load_level": row.load_level,
        "total_tasks": figures.runs,
        "successful_tasks": figures.succeeded,
        "partial_tasks": figures.partial,
        "failed_tasks": figures.failed,
        "cancelled_tasks": figures.cancelled,
        "success_rate": None if rate is None else round(rate, 4),
        "average_duration_ms": None if figures.average_ms is None else round(figures.average_ms, 1),
        "tokens": figures.tokens,
        "cost_usd": figures.cost_usd,
        "trend": _trend(judged, rate),
        "last_finished_at": figures.last_finished_at,
        "notes": list(row.notes or ()),
    }


def _trend(judged: int, rate: float | None) -> str:
    if rate is None or judged < _FEW:
        return "insufficient_data"
    return "improving" if rate >= 0.9 else "stable" if rate >= 0.7 else "declining"


def statistics_view(rows: Sequence[AgentRow]) -> View:
    """The agents in numbers."""
    return {
        "total": len(rows),
        "available": sum(map(_is_available, rows)),
        "by_status": _counted([row.status for row in rows]),
        "by_tier": _counted([row.tier for row in rows]),
        "by_load_level": _counted([row.load_level for row in rows]),
        "capacity": sum(row.capacity for row in rows),
        "current_tasks": sum(row.hands_full for row in rows),
    }


def _is_available(row: AgentRow) -> bool:
    """Whether it could take a task now."""
    return row.available and row.status == "active" and row.hands_full < row.capacity


def _counted(words: Sequence[str]) -> dict[str, int]:
    return {word: words.count(word) for word in sorted(set(words))}
