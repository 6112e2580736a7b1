"""How safe, how full, how far behind: what is looked at for readiness and `ganglion doctor`, each with what to do."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import structlog
from pydantic import SecretStr

from events.errors import BusUnavailableError, StoreUnavailableError
from gateway.bus import Bus
from gateway.commits import Commits
from gateway.headroom import SHED_AT
from producers import checkup as nats
from producers.checkup import BusState
from storage import checkup as postgres
from storage.checkup import DatabaseState, RedisProbe
from storage.reading import Database
from storage.schema import newest_schema

log = structlog.get_logger()

Level = Literal["ok", "warn", "fail"]

_EVERY = 5.0
_FRESH = 1.0
_MIB = 1024 * 1024
_WARN_AT = 0.6
_MAX_SKEW = 1.0
_SAFE = {"on", "remote_apply"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `fail`: it breaks a promise or stops work; `warn`: it is to be seen to."""

    name: str
    level: Level
    detail: str
    advice: str | None = None

    def shown(self) -> dict[str, object]:
        """As an answer has it."""
        return {"ok": self.level != "fail", "level": self.level, "detail": self.detail, "advice": self.advice}


class Checkup:
    """Looks every five seconds, and at once when somebody asks; what could not be looked at is left out."""

    def __init__(
        self, bus: Bus, engine: Database, commits: Commits, *, log_sync: str, redis: SecretStr | None = None
    ) -> None:
        self._bus = bus
        self._engine = engine
        self._commits = commits
        self._log_sync = log_sync
        self._redis = None if redis is None else RedisProbe(redis.get_secret_value())
        self._looked = float("-inf")
        self._turn = asyncio.Lock()
        self.findings: tuple[Finding, ...] = ()
        self.read: frozenset[str] = frozenset()
        """The durables that somebody read when they were looked at last."""

    @property
    def is_degraded(self) -> bool:
        """Whether something found at the last look breaks a promise or stops work."""
        return any(finding.level == "fail" for finding in self.findings)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.now()
            await asyncio.sleep(_EVERY)

    async def now(self) -> tuple[Finding, ...]:
        """What there is to find, at most a second old."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            if loop.time() - self._looked >= _FRESH:
                self.findings = tuple(await self._look())
                self._looked = loop.time()
        return self.findings

    async def _look(self) -> list[Finding]:
        found: list[Finding] = []
        bus, database, valkey = await asyncio.gather(self._bus_state(), self._database_state(), self._valkey())
        if bus is not None and database is not None:
            found.append(durability(bus[0], database[0], self._log_sync))
            found.append(clock(bus, database))
        self.read = (
            frozenset(one.name for one in bus[0].readers if one.trouble is None) if bus is not None else frozenset()
        )
        if bus is not None:
            found += of_bus(bus[0])
        if database is not None:
            found += of_database(database[0])
        found += valkey
        found.append(sweep(self._commits.resent))
        return found

    async def close(self) -> None:
        """Close the connection that only looking needs."""
        if self._redis is not None:
            await self._redis.close()

    async def _valkey(self) -> tuple[Finding, ...]:
        """Nothing for a gateway that was not told of any; the router always knows one."""
        if self._redis is None:
            return ()
        if await self._redis.answers():
            return (Finding("valkey", "ok", "answers"),)
        advice = "start Valkey, or see REDIS_URL: work is taken, but no agent is given any"
        return (Finding("valkey", "fail", "it does not answer", advice),)

    async def _bus_state(self) -> tuple[BusState, datetime] | None:
        try:
            return await nats.look(self._bus.connected_client()), datetime.now(UTC)
        except BusUnavailableError:
            return None

    async def _database_state(self) -> tuple[DatabaseState, datetime] | None:
        try:
            return await postgres.look(self._engine), datetime.now(UTC)
        except StoreUnavailableError:
            return None


def durability(bus: BusState, database: DatabaseState, log_sync: str) -> Finding:
    """What a 202 is worth: `log+database` rests on Postgres' fsync, the rest on the log and its replicas."""
    settings = database.settings
    copies = "one server" if bus.replicas == 1 else f"{bus.replicas} replicas"
    detail = (
        f"database: fsync {settings['fsync']}, synchronous_commit {settings['synchronous_commit']}, "
        f"full_page_writes {settings['full_page_writes']}, "
        f"standby {settings['synchronous_standby_names'] or 'none'}; log: {copies}, fsync {log_sync} as configured"
    )
    unsafe = [name for name in ("fsync", "full_page_writes") if settings[name] != "on"]
    if settings["synchronous_commit"] not in _SAFE:
        unsafe.append("synchronous_commit")
    if unsafe:
        return Finding("durability", "fail", detail, f"set {', '.join(unsafe)} to on in Postgres")
    if bus.replicas_behind:
        behind = ", ".join(bus.replicas_behind)
        return Finding("durability", "fail", detail, f"bring {behind} back: the log has no copy there")
    return Finding("durability", "ok", detail)


def clock(bus: tuple[BusState, datetime], database: tuple[DatabaseState, datetime]) -> Finding:
    """Deadlines are by Postgres' clock, the fold's time by NATS'."""
    skews = {
        "nats": (bus[0].now - bus[1]).total_seconds(),
        "postgres": (database[0].now - database[1]).total_seconds(),
    }
    detail = ", ".join(f"{name} {skew:+.2f} s" for name, skew in skews.items()) + " against this gateway"
    if max(map(abs, skews.values())) > _MAX_SKEW:
        return Finding("clock", "fail", detail, "run NTP on every machine: deadlines and tokens go by the clock")
    return Finding("clock", "ok", detail)


def of_bus(state: BusState) -> Iterator[Finding]:
    """Head room, drift, readers, dead letters."""
    fullness = state.log_bytes / state.log_limit if state.log_limit else 0.0
    size = f"{state.log_bytes / _MIB:.1f} of {state.log_limit / _MIB:.0f} MiB ({fullness:.0%})"
    if fullness >= SHED_AT:
        yield Finding(
            "log", "fail", size, "new work is refused: start what is not running, or raise GANGLION_LOG_MAX_BYTES"
        )
    else:
        growing = fullness >= _WARN_AT
        yield Finding("log", "warn" if growing else "ok", size, "look whether a consumer lags" if growing else None)
    if state.drift:
        yield Finding("topology", "fail", "; ".join(state.drift), "run `python -m deploy.provision`")
    else:
        yield Finding("topology", "ok", "streams and consumers are as the table says")
    troubled = [f"{one.name} {one.trouble} ({one.waiting} wait)" for one in state.readers if one.trouble]
    if troubled:
        yield Finding("consumers", "fail", "; ".join(troubled), "start it (`python -m consumers NAME`), or see its log")
    else:
        waiting = sum(one.waiting for one in state.readers)
        yield Finding("consumers", "ok", f"{len(state.readers)} read, {waiting} messages wait")
    if state.letters:
        yield Finding("dead_letters", "warn", f"{state.letters}", "look with `ganglion dlq ls`, then replay or discard")
    else:
        yield Finding("dead_letters", "ok", "none")


def of_database(state: DatabaseState) -> Iterator[Finding]:
    """Schema, size, and what the log is known to have lost."""
    newest = newest_schema()
    if state.schema != newest:
        detail = f"the database is at {state.schema}, this program at {newest}"
        yield Finding("schema", "fail", detail, "run `python -m storage.migrate`, and the same version everywhere")
    else:
        yield Finding("schema", "ok", f"at {state.schema}; the database holds {state.bytes / _MIB:.1f} MiB")
    if state.lost:
        advice = "see table event_gap; what the database had promised was driven on"
        yield Finding("gaps", "warn", f"{state.lost} sequences of this epoch are lost", advice)
    else:
        yield Finding("gaps", "ok", "none in this epoch")


def sweep(resent: int) -> Finding:
    """The sweep is for lost stores; whatever it does otherwise hides a defect."""
    if resent:
        advice = "expected after a lost NATS store; else a consumer forgets work: see its log"
        return Finding("sweep", "warn", f"{resent} events sent again since this keeper leads", advice)
    return Finding("sweep", "ok", "nothing was sent again")
