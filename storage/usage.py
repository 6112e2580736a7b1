"""What a tenant uses, as the keeper has counted it."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.models import tenant_usage
from storage.reading import fetch


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Sessions at work, and the tokens of the month in which any were spent last (`2026-01`, UTC)."""

    sessions: int = 0
    month: str = ""
    tokens: int = 0


async def find_usage(engine: AsyncEngine, tenant: str) -> UsageRow:
    """What the tenant uses. Raises StoreUnavailableError."""
    used = tenant_usage.c
    rows = await fetch(engine, select(used.sessions, used.month, used.tokens).where(used.id == tenant))
    return UsageRow(*rows[0]) if rows else UsageRow()
