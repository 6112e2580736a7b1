"""The sweep: what drives forgotten work on is sent again (DESIGN 4).

A task's driving event is sent again only if it belongs to an older epoch, or lies below its consumer's ack floor
although the task has not moved for 15 s; it is ~0 when only processes die. A task that the router found no agent for
is not forgotten: it counts as such after five minutes.
"""

import time
from collections.abc import Iterable
from uuid import UUID

import structlog
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from events.agent import ENGINE_AGENT, is_outside
from events.base import Event, EventData
from events.codec import decode_structured
from events.ids import new_id
from events.streams import BUS, DISPATCH, PROPOSALS, PUSH, REFLEX, ROUTER, RUNNER, SPEC_ENGINE
from producers.topology import apply
from storage.janitor import JanitorStore, Stuck
from storage.keeper import Position

log = structlog.get_logger()

STUCK_AFTER = 15.0
UNROUTABLE_AFTER = 300.0
"""Seconds after which a task without an agent is offered to the router again: its agents may have changed."""
AT_ONCE = 256

_DRIVES: dict[str, str] = {
    "submitted": REFLEX.name,
    "ready": ROUTER.name,
    "assigned": RUNNER.name,
    "extracting": PROPOSALS.name,
}
_RUNS: dict[str | None, str] = {ENGINE_AGENT: SPEC_ENGINE.name}
"""Agents that have a consumer of their own; the runner acknowledges what is for them, and for outside agents."""


class Sweep:
    """Remembers what it gave lately: what is still on its way hides nobody who waits behind it."""

    def __init__(self, client: Client, store: JanitorStore) -> None:
        self._client = client
        self._store = store
        self._given: dict[UUID, float] = {}
        self.has_more = False
        self.offered = 0
        """How many of those given last no agent could take so far: nothing was lost and nobody forgot them."""

    async def take(self, position: Position) -> list[Event[EventData]]:
        """The events to send again now, those that wait longest first, at most 256; fewer, and `has_more`, if large."""
        now = time.monotonic()
        self._given = {one: until for one, until in self._given.items() if until > now}
        stuck = await self._store.stuck(STUCK_AFTER, position.epoch, unroutable_after=UNROUTABLE_AFTER)
        waiting = [one for one in stuck if one.id not in self._given]
        due = await self._due(waiting, position.epoch) if waiting else []
        found = await self._store.driving(due)
        self.has_more = len(found) < len(due)
        self.offered = sum(one.unrouted and one.epoch == position.epoch for one, _ in found)
        for one, _ in found:
            self._given[one.id] = now + (UNROUTABLE_AFTER if one.unrouted else STUCK_AFTER)
        return [_again(body) for _, body in found]

    async def _due(self, waiting: Iterable[Stuck], epoch: str) -> list[Stuck]:
        floors = await self._ack_floors()
        due = [one for one in waiting if one.epoch < epoch or one.seq <= floors.get(_driver(one), 0)]
        return due[:AT_ONCE]

    async def _ack_floors(self) -> dict[str, int]:
        """How far each durable has got. One that somebody deleted is made again, and begins with the log anew."""
        js = self._client.jetstream()
        floors: dict[str, int] = {}
        for name in {*_DRIVES.values(), *_RUNS.values(), DISPATCH.name, PUSH.name}:
            try:
                floor = (await js.consumer_info(BUS.name, name)).ack_floor
            except NotFoundError:
                log.warning("consumer_missing", consumer=name)
                await apply(self._client)
                floor = None
            floors[name] = floor.stream_seq if floor is not None else 0
        return floors


def _driver(one: Stuck) -> str:
    """The durable whose work it is to move a task or proposal."""
    if one.status != "assigned" or one.agent_id is None:
        return _DRIVES[one.status]
    if one.pushed:
        return PUSH.name
    return DISPATCH.name if is_outside(one.agent_id) else _RUNS.get(one.agent_id, RUNNER.name)


def _again(body: bytes) -> Event[EventData]:
    """The driving event under a new id: the old one is in the dedupe window and in the log."""
    original = decode_structured(body)
    return original.model_copy(update={"id": str(new_id()), "source": "/keeper", "resendof": original.id})
