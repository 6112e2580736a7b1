"""Live agent state in Redis, changed by scripts that are atomic and harmless to repeat; the router alone calls them.

One call takes a whole batch: what was heard, then who takes which task. Leases lapse by themselves, an agent that is
not heard of lapses too. Nothing here is worth keeping: a server that restarted or forgot refuses with ColdError until
the state is built again from what Postgres knows (`building`).
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import NamedTuple, Self, cast

import orjson
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import BusyLoadingError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from events.agent import EVERYONE
from events.errors import TransientError
from events.ids import new_id
from storage.live.view import BREAK_SECONDS, PRIOR_QUALITY, PRIOR_RUNS, TIERS, LiveAgent, Snapshot, merged

LEASE_SECONDS = 90.0
BEAT_SECONDS = 90.0
_PATIENCE = 15.0
_AGAIN_AFTER = 0.1
APART = 10**13
"""Milliseconds between two priorities in the score of an ask: more than any age."""
_SETTINGS = {
    "lease": int(LEASE_SECONDS * 1000),
    "beat": int(BEAT_SECONDS * 1000),
    "open": int(BREAK_SECONDS * 1000),
    "gone": 86_400,
    "handed": 600,
    "apart": APART,
    "skew": 1_000,
    "everyone": EVERYONE,
    "tiers": dict(TIERS),
    "prior_runs": PRIOR_RUNS,
    "prior_quality": PRIOR_QUALITY,
}
_AWAY = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, OSError)

Op = list[object]
"""One thing that was heard; made by the functions of `storage.live.heard`."""


class RedisSettings(BaseSettings):
    """Where Redis is: `REDIS_URL=redis://user:password@host:port/0`."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="")

    redis_url: SecretStr


class ColdError(Exception):
    """The state is not there, or was built for another run of the server."""


class LiveStateUnavailableError(TransientError):
    """The live state of the agents cannot be reached."""

    code = "live_state_unavailable"


class Ask(NamedTuple):
    """A slot for one attempt: of the first agent in `order` that has room; else the event waits in its queue.

    `body` is the event, to be kept if it waits; empty if room is expected: if there is none the reason is `again`.
    `queue` names equal needs (`<caps>|<avoided>|<least tier>`), `score` its place there. `cause` is the event because
    of which it asks, `again` whether it was waiting. `why` parks it at once. `is_open`: it is known to wait for an
    agent; what became ready before the state was built gets the reason `late` without that. `version` is that of
    the task as it became ready.
    """

    member: str
    tenant: str
    queue: str
    score: float
    order: Sequence[str]
    cause: str
    body: bytes
    again: bool = False
    why: str = ""
    is_open: bool = False
    version: int = 1


class Given(NamedTuple):
    """The agent that has a slot for it now; or "" with the reason, and how often the reason has changed (0: it was
    waiting for the same reason before, or the attempt is `over`).
    """

    agent: str
    reason: str
    times: int


class Offer(NamedTuple):
    """A task that waits, by its event, and because of which event it might have a slot now."""

    member: str
    body: bytes
    cause: str


class Applied(NamedTuple):
    """What one call did; `given` in the order of the asks. `now` is the server's clock in milliseconds."""

    now: int
    waiting: int
    given: list[Given]
    offers: list[Offer]
    changed: list[LiveAgent]


class LiveAgents:
    """The state as this process sees it (`view`), and the way to change it; `async with LiveAgents(settings)`.

    `generation` counts how often an agent came, went or described itself anew.

    Every call raises ColdError, or LiveStateUnavailableError after 15 s without the server.
    """

    def __init__(self, settings: RedisSettings, *, patience: float = _PATIENCE) -> None:
        self._redis: Redis = Redis.from_url(
            settings.redis_url.get_secret_value(),
            protocol=2,
            max_connections=2,
            socket_timeout=5.0,
            socket_connect_timeout=1.0,
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=self._on_connect,
        )
        self._patience = patience
        self._apply = self._redis.register_script(_source("agents", "waiting", "apply"))
        self._build = self._redis.register_script(_source("build"))
        self._run = ""
        self._seen = 0
        self._ahead = 0.0
        self._serving: dict[str, list[LiveAgent]] = {}
        self.generation = 0
        self.view: dict[str, LiveAgent] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._redis.aclose()

    async def look(self) -> None:
        """See all agents, if they were never seen or everything may have changed."""
        if not self._seen:
            await self.apply([])

    async def apply(self, ops: Sequence[Op], asks: Sequence[Ask] = (), *, builder: str = "") -> Applied:
        """Take what was heard, then give slots; repeating the call changes nothing more."""
        places: dict[str, int] = {}
        encoded = [_encoded(ask, places) for ask in asks]
        sent: dict[str, object] = {**_SETTINGS, "seen": self._seen, "ops": ops, "asks": encoded, "agents": list(places)}
        if builder:
            sent["builder"] = builder
        run = self._run
        answer = await self._call(self._apply, [orjson.dumps(sent), *(ask.body for ask in asks)])
        if run and run != self._run and not builder:
            raise ColdError("the server is another run; look at everything anew")
        return self._read(answer)

    @asynccontextmanager
    async def building(self, epoch: str = "") -> AsyncGenerator[str | None]:
        """Hold the right to build from nothing: a token for `apply`, or None if somebody else builds or has built.

        The state is good for use when the block ends without an error, and as long as the log is of that epoch.
        """
        token = new_id().hex
        if not await self._call(self._build, ["begin", token, self._run]):
            yield None
            return
        self.forget()
        yield token
        if not await self._call(self._build, ["end", token, self._run, epoch]):
            raise ColdError("another one took over")
        self.forget()

    async def distrust(self, epoch: str) -> bool:
        """Refuse with ColdError from now on what was built in another epoch of the log than this; whether it was."""
        return bool(await self._call(self._build, ["epoch", "", self._run, epoch]))

    @property
    def now(self) -> int:
        """The server's clock, in milliseconds."""
        return int(time.monotonic() * 1000 + self._ahead)

    def serving(self, tenant: str) -> list[LiveAgent]:
        """The agents that work for a tenant: its own and ours."""
        found = self._serving.get(tenant)
        if found is None:
            found = self._serving[tenant] = [agent for agent in self.view.values() if agent.serves(tenant)]
        return found

    def forget(self) -> None:
        """Look at everything anew at the next call."""
        self._seen = 0
        self.view.clear()
        self._serving.clear()
        self.generation += 1

    async def ping(self) -> None:
        """Raise LiveStateUnavailableError unless the server answers."""
        try:
            await self._redis.ping()
        except (RedisError, OSError) as error:
            raise LiveStateUnavailableError from error

    def _read(self, answer: object) -> Applied:
        now, waiting, given, offers, changed, last = cast("_Answer", orjson.loads(cast("bytes", answer)))
        self._ahead = now - time.monotonic() * 1000
        self._seen = max(self._seen, last)
        agents = [self._merge(row, now) for row in changed or ()]
        return Applied(
            now,
            waiting,
            [Given(*one) for one in given or ()],
            [Offer(member, body.encode(), cause) for member, body, cause in offers or ()],
            agents,
        )

    def _merge(self, row: Snapshot, now: int) -> LiveAgent:
        """Take a snapshot over, in place: who holds the agent sees it change."""
        fresh = merged(self.view, row, now)
        known = self.view.get(fresh.key)
        if known is not None and fresh.status != "gone":
            self.generation += known.spec is not fresh.spec
            known.become(fresh)
            return known
        self._serving.clear()
        self.generation += 1
        if fresh.status == "gone":
            self.view.pop(fresh.key, None)
        else:
            self.view[fresh.key] = fresh
        return fresh

    async def _call(self, script: AsyncScript, args: Sequence[bytes | str]) -> object:
        give_up_at = asyncio.get_running_loop().time() + self._patience
        while True:
            try:
                return await script(args=list(args))
            except _AWAY as error:
                if asyncio.get_running_loop().time() > give_up_at:
                    raise LiveStateUnavailableError from error
            except ResponseError as error:
                if str(error).startswith("COLD"):
                    raise ColdError(str(error)) from error
                raise
            await asyncio.sleep(_AGAIN_AFTER)

    async def _on_connect(self, connection: AbstractConnection) -> None:
        """Ask which run of the server this is: after a restart its data may be a second old, so it counts as lost."""
        await connection.on_connect()
        await connection.send_command("INFO", "server")
        info = await connection.read_response()
        run = _field(info, b"run_id")
        await connection.send_command("EVAL", _source("build"), 0, "check", "", run)
        await connection.read_response()
        if run != self._run:
            self._run = run
            self.forget()


_Answer = tuple[int, int, list[tuple[str, str, int]], list[tuple[str, str, str]], list[Snapshot], int]
"""What apply.lua returns; an empty list comes as an empty object."""


def _source(*names: str) -> str:
    folder = files("storage.live") / "scripts"
    return "\n".join((folder / f"{name}.lua").read_text() for name in names)


def _field(info: object, name: bytes) -> str:
    if not isinstance(info, bytes):
        raise RedisConnectionError("no answer to INFO")
    return next(line.partition(b":")[2].strip().decode() for line in info.splitlines() if line.startswith(name + b":"))


def _encoded(ask: Ask, places: dict[str, int]) -> list[object]:
    order = [places.setdefault(key, len(places) + 1) for key in ask.order]
    is_open = ask.is_open or ask.again
    return [ask.member, ask.tenant, ask.queue, ask.score, order, ask.cause, ask.again, ask.why, is_open, ask.version]
