"""Live agent state on a real Valkey, ready for use, and short words for what is heard and asked."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from pydantic import SecretStr

from events import AGENT_STATES, AgentEntered, AgentStatus
from storage.live.heard import state
from storage.live.store import Ask, LiveAgents, Op, RedisSettings


def entered(name: str, *, version: int = 1, status: AgentStatus = "active", **more: object) -> AgentEntered:
    """An agent's state as the keeper announces it."""
    values: dict[str, object] = {
        "agent_id": name,
        "version": version,
        "name": name,
        "agent_type": "implementer",
        "capabilities": {"answer": 1.0},
        "capacity": 2,
        "outside": True,
    }
    return AGENT_STATES[status].model_validate({**values, **more})


def joins(name: str, *, tenant: str = "t", cause: str = "c", heard: float | None = None, **more: object) -> Op:
    """The operation for `entered`."""
    return state(tenant, "o", entered(name, **more), cause, heard=heard)  # type: ignore[arg-type]  # fields of the event


def ask(
    member: str,
    *order: str,
    queue: str = "answer||",
    score: float = 0.0,
    again: bool = False,
    cause: str = "",
    is_open: bool = True,
    version: int = 1,
) -> Ask:
    """A slot for a task of tenant t."""
    body = f"event of {member}".encode()
    return Ask(
        member, "t", queue, score, order, cause or f"ready-{member}", body, again, is_open=is_open, version=version
    )


@asynccontextmanager
async def live_agents(redis_url: str, *, patience: float = 2.0) -> AsyncGenerator[LiveAgents]:
    """One router's way to the state."""
    async with LiveAgents(RedisSettings(redis_url=SecretStr(redis_url)), patience=patience) as live:
        yield live


async def build(live: LiveAgents, ops: Sequence[Op] = ()) -> None:
    """Build the state from nothing but these."""
    async with live.building() as token:
        assert token is not None
        await live.apply(ops, builder=token)
