"""Stand by for the lease, lead while it lasts, and begin again after any failure: the keeper never ends by itself."""

import asyncio
import contextlib
import os
import socket

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from pydantic_settings import BaseSettings, SettingsConfigDict

from consumers._runtime import Resources, Service
from consumers._time_slices import TimeSlices
from consumers.keeper.epoch import settle_epoch
from consumers.keeper.janitor import GONE_AFTER, SILENT_AFTER, Janitor
from consumers.keeper.lease import Lease
from consumers.keeper.metrics import LEADING
from consumers.keeper.term import EpochOverError, LogShortenedError, ReconnectedError, Term
from events.errors import BusUnavailableError, GanglionError, OutcomeUnknownError
from events.ids import new_id
from producers.cancellation import heed_cancellation
from producers.publisher import Publisher
from producers.reader import StreamLostError
from producers.said import Said
from storage.database import DatabaseSettings
from storage.janitor import JanitorStore
from storage.keeper import KeeperStore, Position

log = structlog.get_logger()

_AGAIN_AFTER = 0.2
_LEFT_TO_OTHERS = 1.0
"""Seconds until we ask for the lease again when the bus has failed us: a standby, whose bus may be well, is sooner."""
_GIVEN_BACK_WITHIN = 1.0

# What may go wrong with the bus, the database or the lease; anything else is a defect and ends the process.
_PASSING = (
    GanglionError,
    NatsError,
    EpochOverError,
    LogShortenedError,
    ReconnectedError,
    StreamLostError,
    OSError,
    TimeoutError,
)
_OF_THE_BUS = (BusUnavailableError, OutcomeUnknownError, NatsError, OSError, TimeoutError)


class NotDurableError(Exception):
    """Postgres would lose commits in a power cut: turn fsync and synchronous_commit on."""


class KeeperSettings(BaseSettings):
    """`GANGLION_SWEEP=off` leaves the sweep out, for campaigns that must not be saved by it.

    `GANGLION_SILENT_AFTER`: seconds without a sign of life after which an agent is offline and its runs are lost;
    `GANGLION_GONE_AFTER`: after which one of outside is deregistered.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="GANGLION_")

    sweep: bool = True
    silent_after: float = SILENT_AFTER
    gone_after: float = GONE_AFTER


class Keeper:
    """One keeper of any number; `run()` until cancelled. `slices` are those of the consumers beside it."""

    def __init__(
        self,
        client: Client,
        publisher: Publisher,
        database: DatabaseSettings,
        settings: KeeperSettings,
        slices: TimeSlices | None = None,
    ) -> None:
        self._client = client
        self._publisher = publisher
        self._dsn = database.dsn
        self._settings = settings
        self._slices = slices or TimeSlices()
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{new_id()}"
        self.term: Term | None = None
        self._said = Said()

    async def run(self) -> None:
        """Lead whenever the lease can be had."""
        while True:
            pause = _AGAIN_AFTER
            try:
                await self._lead()
            except* _PASSING as group:
                errors = _leaves(group)
                if any(isinstance(error, _OF_THE_BUS) for error in errors):
                    pause = _LEFT_TO_OTHERS
                reasons = sorted({type(error).__name__ for error in errors})
                if self._said.once(tuple(reasons)):
                    log.warning("keeper_term_ended", reasons=reasons)
            self.term = None
            heed_cancellation()
            await asyncio.sleep(pause)

    async def _lead(self) -> None:
        store = await KeeperStore.connect(self._dsn, self.holder)
        leases = janitor = None
        try:
            await _assert_durable(store)
            leases = await KeeperStore.connect(self._dsn, self.holder, quick=True)
            janitor = await JanitorStore.connect(self._dsn)
            lease = Lease(leases)
            position = await lease.taken(lambda: self._client.is_connected)
            try:
                async with asyncio.TaskGroup() as beside:
                    beside.create_task(lease.keep())
                    await self._rule(store, lease, position, janitor)
            finally:
                await _give_back(lease)
        finally:
            for connection in (store, leases, janitor):
                if connection is not None:
                    await connection.close()

    async def _rule(self, store: KeeperStore, lease: Lease, position: Position, janitor: JanitorStore) -> None:
        """Fold under the lease until something ends it by raising."""
        position = await settle_epoch(self._client, store, position)
        self._said.clear()
        log.info("keeper_leads", holder=self.holder, epoch=position.epoch, position=position.seq)
        settings = self._settings
        clockwork = Janitor(
            self._client,
            janitor,
            self._publisher,
            sweeping=settings.sweep,
            silent_after=settings.silent_after,
            gone_after=settings.gone_after,
        )
        self.term = Term(
            client=self._client,
            publisher=self._publisher,
            store=store,
            lease=lease,
            position=position,
            slices=self._slices,
        )
        LEADING.set(1)
        try:
            await self.term.run(clockwork)
        finally:
            LEADING.set(0)


async def _give_back(lease: Lease) -> None:
    """Let another lead at once; an absent database must not hold up the end, nor the next term."""
    with contextlib.suppress(GanglionError, TimeoutError):
        async with asyncio.timeout(_GIVEN_BACK_WITHIN):
            await lease.release()


async def _assert_durable(store: KeeperStore) -> None:
    settings = await store.durable_settings()
    if settings.get("fsync") != "on" or settings.get("synchronous_commit") not in ("on", "remote_apply"):
        raise NotDurableError(str(settings))


def build(resources: Resources) -> Service:
    """The consumer: one more keeper, active or standing by."""
    one = Keeper(resources.client, resources.publisher, resources.database, KeeperSettings(), resources.slices)
    return Service(one.run)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
