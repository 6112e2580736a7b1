"""The faults: each does its harm and takes it back, and says what kind of harm it was."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import asyncpg
from nats.js import JetStreamContext
from nats.js.api import StreamConfig, StreamInfo
from nats.js.errors import NotFoundError

from events.codec import decode_structured
from events.errors import InvalidEventError
from events.ids import new_id
from events.streams import BUS
from producers.connect import BusSettings, Connection
from tests.chaos.clocks import faketime
from tests.chaos.site import OUTSIDER, ROLES, SERVERS, Site, send

Group = Literal["process", "pause", "link", "message", "store", "limit", "clock"]

PAUSE = 4.0
"""Seconds: longer than the 3 s after which a message of a frozen consumer is given to another."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`strike` returns when the harm is undone, though not when the system has recovered."""

    name: str
    group: Group
    strike: Callable[[Site, random.Random], Awaitable[None]]

    @property
    def loses_log(self) -> bool:
        """Whether events can vanish from the stream: then a 202 that said `log` promises nothing."""
        return self.group == "store"


def _kill(name: str) -> Fault:
    async def strike(site: Site, dice: random.Random) -> None:
        await site.restart(name, after=dice.uniform(0.0, 0.8))

    return Fault(f"kill {name}", "process", strike)


def _pause(name: str) -> Fault:
    async def strike(site: Site, dice: random.Random) -> None:
        site.freeze(name)
        await asyncio.sleep(dice.uniform(0.5, 2.0) if name in SERVERS else PAUSE)
        site.thaw(name)

    return Fault(f"pause {name}", "pause", strike)


def _cut(name: str) -> Fault:
    async def strike(site: Site, dice: random.Random) -> None:
        for _ in range(dice.randint(1, 4)):
            site.links[name].cut()
            await asyncio.sleep(dice.uniform(0.05, 0.4))

    return Fault(f"cut link to {name}", "link", strike)


def _stall(name: str) -> Fault:
    async def strike(site: Site, dice: random.Random) -> None:
        site.links[name].stall()
        await asyncio.sleep(dice.uniform(1.0, 4.0))
        site.links[name].flow()

    return Fault(f"stall link to {name}", "link", strike)


def _slow(name: str) -> Fault:
    async def strike(site: Site, dice: random.Random) -> None:
        site.links[name].delay = dice.uniform(0.02, 0.1)
        await asyncio.sleep(dice.uniform(1.0, 3.0))
        site.links[name].delay = 0.0

    return Fault(f"slow link to {name}", "link", strike)


def _skew(name: str) -> Fault:
    """The gateway less far back: tokens that begin in its future are rightly refused."""
    offsets = (-20, 3_600) if name == "gateway" else (-3_600, 3_600)

    async def strike(site: Site, dice: random.Random) -> None:
        site.clocks.set(name, dice.choice(offsets))
        await asyncio.sleep(dice.uniform(1.5, 3.0))
        site.clocks.set(name, 0)

    return Fault(f"skew the clock of {name}", "clock", strike)


def _kill_beside(frozen: str, killed: str) -> Fault:
    """Whichever of them leads: for a while nobody does, and who wakes up must not take itself for the one."""

    async def strike(site: Site, dice: random.Random) -> None:
        site.freeze(frozen)
        await asyncio.sleep(dice.uniform(0.0, 1.0))
        await site.restart(killed, after=dice.uniform(0.0, 0.8))
        await asyncio.sleep(PAUSE)
        site.thaw(frozen)

    return Fault(f"pause {frozen}, kill {killed}", "pause", strike)


async def _pause_backend(site: Site, dice: random.Random) -> None:
    """Postgres' half of one of a keeper's connections sleeps: it may hold what another keeper has to wait for."""
    database = await asyncpg.connect(site.parts.database_url)
    try:
        backends = [row["pid"] for row in await database.fetch(_OF_KEEPERS)]
    finally:
        await database.close()
    chosen = dice.sample(backends, min(1, len(backends)))
    send(chosen, signal.SIGSTOP)
    await asyncio.sleep(dice.uniform(3.0, 8.0))
    send(chosen, signal.SIGCONT)


async def _duplicate(site: Site, dice: random.Random) -> None:
    """Publish stored events once more, out of order and past the stream's own memory of their ids."""
    settings = BusSettings.model_validate({"nats_url": site.parts.servers.nats_url})
    async with Connection(settings, "duplicates") as client:
        js = client.jetstream()
        state = (await _bus(js)).state
        span = range(max(state.first_seq, state.last_seq - 400), state.last_seq + 1)
        for seq in dice.sample(span, min(60, len(span))):
            stored = await js.get_msg(BUS.name, seq)
            try:
                decode_structured(stored.data or b"")
            except InvalidEventError:
                continue
            headers = {**(stored.headers or {}), "Nats-Msg-Id": str(new_id())}
            await js.publish(stored.subject or "", stored.data or b"", headers=headers)


async def _wipe(site: Site, dice: random.Random) -> None:
    await site.parts.kill("nats")
    await site.parts.servers.nats.wipe()
    await asyncio.sleep(dice.uniform(0.0, 0.5))
    await site.parts.start("nats")


async def _wipe_unkept(site: Site, dice: random.Random) -> None:
    """The log is lost with all that Postgres did not get, because it slept."""
    site.freeze("postgres")
    await asyncio.sleep(dice.uniform(0.5, 1.0))
    await _wipe(site, dice)
    site.thaw("postgres")


async def _truncate(site: Site, dice: random.Random) -> None:
    await site.parts.kill("nats")
    for block in site.blocks[-1:]:
        size = block.stat().st_size
        with block.open("r+b") as file:
            file.truncate(int(size * dice.uniform(0.5, 0.99)))
    await site.parts.start("nats")


async def _flip(site: Site, dice: random.Random) -> None:
    await site.parts.kill("nats")
    for block in site.blocks[-1:]:
        size = block.stat().st_size
        if size:
            with block.open("r+b") as file:
                place = dice.randrange(size)
                file.seek(place)
                byte = file.read(1)
                file.seek(place)
                file.write(bytes([byte[0] ^ (1 << dice.randrange(8))]))
    await site.parts.start("nats")


async def _full(site: Site, dice: random.Random) -> None:
    """The stream has no more room for some seconds, while nobody works off what is in it."""
    site.freeze("reactors")
    settings = BusSettings.model_validate({"nats_url": site.parts.servers.nats_url})
    async with Connection(settings, "full") as client:
        js = client.jetstream()
        info = await _bus(js)
        await js.update_stream(_with_room(info.config, info.state.bytes + 20_000))
        await asyncio.sleep(dice.uniform(1.0, 3.0))
        site.thaw("reactors")
        await asyncio.sleep(dice.uniform(0.5, 1.0))
        await js.update_stream(_with_room(info.config, BUS.max_bytes))


async def _bus(js: JetStreamContext) -> StreamInfo:
    """The stream, as soon as it is there again: the fault before may have wiped it."""
    while True:
        try:
            return await js.stream_info(BUS.name)
        except NotFoundError:
            await asyncio.sleep(0.05)


def _with_room(config: StreamConfig, max_bytes: int) -> StreamConfig:
    return config.evolve(max_bytes=max_bytes)


_OF_KEEPERS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'ganglion-keeper'"
_NAMES = tuple(role.name for role in ROLES)
KILLS = tuple(_kill(name) for name in (*_NAMES, *SERVERS))
PAUSES = tuple(_pause(name) for name in (*_NAMES, "nats", "postgres"))
LINK = tuple(make(name) for make in (_cut, _stall, _slow) for name in ("nats", "postgres"))
MESSAGE = (Fault("duplicate and reorder", "message", _duplicate),)
STORE = (
    Fault("wipe the log", "store", _wipe),
    Fault("wipe the log while postgres sleeps", "store", _wipe_unkept),
    Fault("truncate the log", "store", _truncate),
    Fault("flip a bit of the log", "store", _flip),
)
LIMIT = (Fault("fill the log", "limit", _full),)
CLOCK = tuple(map(_skew, ("gateway", "keeper", "reactors", "runner"))) if faketime() else ()
"""In campaigns of their own (`--clocks`): libfaketime slows every role down, so that nothing else could be judged."""
LEADERS = (
    _kill_beside("keeper", "standby"),
    _kill_beside("standby", "keeper"),
    Fault("pause a keeper's connection in postgres", "pause", _pause_backend),
)
"""In campaigns at full length only: together they take a quarter of a minute."""
OUTSIDE = (_kill(OUTSIDER.name), _pause(OUTSIDER.name))
"""Where there is such an agent."""
PROCESSES_ONLY = KILLS + PAUSES + LINK + MESSAGE
"""What the main path must survive without the sweep."""
ALL = KILLS + PAUSES + LINK + MESSAGE + STORE + LIMIT
