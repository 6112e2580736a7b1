"""The agents that run in a process of ours say so like all others: registered at start, heard of every 20 s.

They belong to no tenant and work for all (docs/adr/0011). Their capacity is no limit of slots: what exceeds the slots
of one process waits in the durable, where every process of the kind takes from it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from events.agent import EVERYONE, AgentDeregistered, AgentHeartbeat, AgentRegistered
from events.base import Event, EventData
from events.errors import GanglionError
from producers.publisher import Ack
from producers.said import Said

log = structlog.get_logger()

BEAT = 20.0
CAPACITY = 4_096
_AGAIN_EVERY = 15
"""Beats between two registrations: who was not heard of for long, or whose row is gone, is there again."""


class Posts(Protocol):
    """What publishes."""

    async def publish(self, event: Event[EventData]) -> Ack:
        """Publish one event and wait for its acknowledgement."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An agent of this process and what it can do."""

    id: str
    capabilities: frozenset[str]
    capacity: int = CAPACITY


class Presence:
    """Keeps this process's agents registered; `start()` once, and it goes on beside everything else.

    `withdrawn` are deregistered first: agents that an earlier configuration offered.
    """

    def __init__(
        self,
        publisher: Posts,
        consumer: str,
        offers: Sequence[Offer],
        *,
        withdrawn: Sequence[str] = (),
        every: float = BEAT,
    ) -> None:
        self._publisher = publisher
        self._source = f"/consumers/{consumer}"
        self._offers = offers
        self._withdrawn = withdrawn
        self._every = every
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; an absent bus delays it and stops nothing."""
        self._keeping = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        beats, said = 0, Said()
        while True:
            try:
                if beats == 0:
                    for agent_id in self._withdrawn:
                        await self._post(AgentDeregistered(agent_id=agent_id, by=self._source, reason="not_configured"))
                for offer in self._offers:
                    await self._say(offer, register=beats % _AGAIN_EVERY == 0)
                beats += 1
                said.clear()
            except GanglionError as error:
                if said.once(error.code):
                    log.warning("presence_unsaid", source=self._source, code=error.code)
            await asyncio.sleep(self._every)

    async def _say(self, offer: Offer, *, register: bool) -> None:
        said: list[EventData] = [AgentHeartbeat(agent_id=offer.id)]
        if register:
            capabilities = dict.fromkeys(sorted(offer.capabilities), 1.0)
            registered = AgentRegistered(
                agent_id=offer.id,
                name=offer.id,
                capabilities=capabilities,
                capacity=offer.capacity,
                outside=False,
            )
            said.insert(0, registered)
        for data in said:
            await self._post(data)

    async def _post(self, data: EventData) -> None:
        await self._publisher.publish(Event.first(data, source=self._source, tenant=EVERYONE, owner=EVERYONE))
