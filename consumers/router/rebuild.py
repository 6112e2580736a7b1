"""Build the live state from Postgres: who is here, what they have in hand, and which tasks wait for them.

Needed at first, whenever Redis forgot or was another run of itself, and when the log has begun another epoch. What the
routers published before must be committed first, so it waits until the keeper is at the end of the log as it was when
the build began.
"""

import asyncio
from collections.abc import Sequence
from typing import get_args

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from consumers.router.asks import ask_for
from events.agent import EVERYONE
from events.codec import decode_structured
from events.errors import GanglionError
from events.route import RouteFailed
from events.streams import BUS, EPOCH_KEY
from events.task import TaskReady
from producers.topology import epoch_of
from storage.database import DatabaseSettings
from storage.live.durable import Durable, Held, Unrouted
from storage.live.heard import hold, outcomes, state
from storage.live.store import Ask, ColdError, LiveAgents, LiveStateUnavailableError, Op
from storage.live.view import key_of, member_of

log = structlog.get_logger()

_WITHIN = 20.0
_EVERY = 0.05
_EPOCH_EVERY = 2.0
_REASONS = get_args(RouteFailed.model_fields["reason"].annotation)


class Builder:
    """Makes sure that the live state is there; of several, one builds and the others wait for it."""

    def __init__(self, live: LiveAgents, database: DatabaseSettings, client: Client) -> None:
        self._live = live
        self._database = database
        self._client = client
        self._watching: asyncio.Task[None] | None = None

    async def ensure(self) -> None:
        """Return when the state can be used. Raises a transient error if that takes more than 20 s."""
        try:
            async with asyncio.timeout(_WITHIN):
                # Another process builds, or the keeper commits in its own: no event of ours tells.
                while not await self._is_there() and not await self._build():  # noqa: ASYNC110 - see above
                    await asyncio.sleep(_EVERY)
        except TimeoutError as error:
            raise LiveStateUnavailableError from error

    async def watch(self) -> None:
        """Begin to look every two seconds, beside everything else, for as long as this process lives."""
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
            except (NatsError, TimeoutError, LiveStateUnavailableError) as error:
                log.info("epoch_unknown", error=type(error).__name__)
            await asyncio.sleep(_EPOCH_EVERY)

    async def look(self) -> None:
        """Distrust the state if it was built in another epoch: what the log has lost since may be missing in it.

        Whoever needs it next builds it anew.
        """
        epoch = await epoch_of(self._client)
        if epoch and await self._live.distrust(epoch):
            log.warning("live_state_distrusted", epoch=epoch)

    async def _is_there(self) -> bool:
        try:
            self._live.forget()
            await self._live.look()
        except ColdError:
            return False
        return True

    async def _build(self) -> bool:
        """Whether this process built it; False if another one does."""
        async with Durable.open(self._database) as durable:
            epoch = await self._committed(durable)
            try:
                async with self._live.building(epoch) as token:
                    if token is None:
                        return False
                    async with durable.moment():
                        await self._fill(durable, token)
            except ColdError:
                return False
        return True

    async def _committed(self, durable: Durable) -> str:
        """Wait until everything that is in the log now is committed; the log's epoch."""
        try:
            info = await self._client.jetstream().stream_info(BUS.name)
        except (NatsError, TimeoutError) as error:
            raise LiveStateUnavailableError("the end of the log is not known") from error
        end = ((info.config.metadata or {}).get(EPOCH_KEY, ""), info.state.last_seq)  # epochs sort
        while await durable.position() < end:  # noqa: ASYNC110 - the keeper commits in its own process
            await asyncio.sleep(_EVERY)
        return end[0]

    async def _fill(self, durable: Durable, token: str) -> None:
        known = await durable.agents()
        await self._live.apply(
            [state(one.tenant, one.owner, one.entered, "", heard=one.heard) for one in known], builder=token
        )
        records: list[Op] = [outcomes(key_of(one.tenant, one.entered.agent_id), one.outcomes) for one in known]
        await self._live.apply(records, builder=token)
        keys = {key_of(one.tenant, one.entered.agent_id) for one in known}
        held = waiting = 0
        async for page in durable.held():
            held += len(page)
            await self._live.apply([_hold(one, keys) for one in page], builder=token)
        async for tasks in durable.unrouted():
            waiting += len(tasks)
            await self._live.apply([], _parked(tasks), builder=token)
        log.warning("live_state_built", agents=len(known), held=held, waiting=waiting)


def _hold(one: Held, keys: set[str]) -> Op:
    own = key_of(one.tenant, one.agent_id)
    return hold(member_of(one.task_id, one.attempt), own if own in keys else key_of(EVERYONE, one.agent_id))


def _parked(tasks: Sequence[Unrouted]) -> list[Ask]:
    """The tasks as they wait; what they wait for is found out when they are offered."""
    parked: list[Ask] = []
    for task in tasks:
        try:
            ready = decode_structured(task.body)
        except GanglionError:
            log.exception("ready_event_unreadable")
            continue
        if isinstance(ready.data, TaskReady):
            parked.append(ask_for(ready, ready.data, (), cause=ready.id, why=_why(task)))
    return parked


def _why(task: Unrouted) -> str:
    return task.reason if task.reason in _REASONS and task.reason is not None else "all_busy"
