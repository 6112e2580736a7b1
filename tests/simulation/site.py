"""Everybody on the main path in one process, and the faults that befall them."""

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from unittest.mock import patch
from uuid import UUID

from pydantic import SecretStr
from redis.asyncio import Redis

from consumers.keeper.janitor import Janitor
from consumers.planner.consumer import Planner
from consumers.router.rebuild import Builder
from consumers.router.router import Router
from events import AgentHeartbeat, AgentRegistered, Event, EventData
from events.agent import EVERYONE
from events.streams import DISPATCH, PLANNER, REFLEX, ROUTER, RUNNER
from storage.live import store
from storage.live.store import RedisSettings
from tests.simulation.agents import Agent
from tests.simulation.checker import Checker
from tests.simulation.keeper import Keeper, Tables
from tests.simulation.log import Feed, Log
from tests.simulation.processes import DeathError, MortalLive, Pauses, Reactor, screened
from tests.simulation.queries import DurableTables, JanitorTables, LookupTables, Server

_BEGIN = 1_767_225_600
_CLOCK = "simulation:now"
_TIME = f"(function(ms) return {{ math.floor(ms / 1000), ms % 1000 * 1000 }} end)(tonumber(call('GET', '{_CLOCK}')))"
OURS, OUTSIDE = "extractive", "AGENT-A"


class Site:
    """One simulated installation. Each process is named, and may be killed by its name."""

    def __init__(self, redis: Redis, redis_url: str, dice: Random) -> None:
        self.redis = redis
        self.dice = dice
        self.log = Log(datetime.fromtimestamp(_BEGIN, UTC), dice)
        self.checker = Checker(self.log.note)
        self.keeper = Keeper(self.log, Tables(), self.checker.watch)
        self.feeds = {one.name: Feed(self.log, one) for one in (REFLEX, ROUTER, DISPATCH, RUNNER, PLANNER)}
        self.lookup = LookupTables(self.keeper)
        self._settings = RedisSettings(redis_url=SecretStr(redis_url))
        self._server = Server(self.log, self.feeds)
        self._janitor_tables = JanitorTables(self.keeper, self.log)
        self.janitor = self._new_janitor()
        self.reactors: dict[str, Reactor] = {
            "reflex": Reactor(self.log, self.feeds["reflex"], screened),
            "planner": Reactor(self.log, self.feeds["planner"], self._plan),
        }
        self.agents = {
            "runner": Agent(self.log, self.feeds["runner"], self.lookup, outside=False),
            "runner 2": Agent(self.log, self.feeds["runner"], self.lookup, outside=False),
            OUTSIDE: Agent(self.log, self.feeds["dispatch"], self.lookup, outside=True),
        }
        self._capacity = dice.choice((1, 1, 2))
        self._lives: dict[str, MortalLive] = {}
        self._builders: dict[str, Builder] = {}
        self.sweeps = False
        self.offline = False
        """Whether the agent of outside has said that it is."""

    @contextmanager
    def in_virtual_time(self) -> Generator[None]:
        """Valkey's scripts and the sweep have the log's clock; a router's builder reads these tables."""

        def monotonic() -> float:
            return self.log.at.timestamp()

        real = store._source

        def source(*names: str) -> str:
            return real(*names).replace("call('TIME')", _TIME)

        with ExitStack() as stack:
            stack.enter_context(patch("storage.live.store._source", source))
            stack.enter_context(patch("consumers.keeper.sweep.time", SimpleNamespace(monotonic=monotonic)))
            stack.enter_context(patch("consumers.keeper.sweep.new_id", self.new_id))
            stack.enter_context(patch("consumers.router.rebuild.Durable", DurableTables(self.keeper, self.log)))
            yield

    async def begin(self) -> None:
        """An empty Valkey, two routers, two agents."""
        await self.redis.flushall()
        for name in ("router", "router 2"):
            await self._start_router(name)
        self.register(OURS, tenant=EVERYONE, outside=False, capabilities={"answer": 1.0})
        self.register_outside()
        self.keeper.catch_up()

    def register_outside(self) -> None:
        """It comes, and knows nothing of what it did before."""
        self.agents[OUTSIDE].kill()
        self.register(OUTSIDE, tenant="t", outside=True, capabilities={"answer": 0.7, "special": 1.0})

    def register(self, name: str, *, tenant: str, outside: bool, capabilities: dict[str, float]) -> None:
        """An agent offers its work."""
        data = AgentRegistered(
            agent_id=name, name=name, capacity=self._capacity, outside=outside, capabilities=capabilities
        )
        self.say(data, tenant=tenant, owner="o" if outside else EVERYONE)

    async def close(self) -> None:
        for live in self._lives.values():
            await live.__aexit__()

    async def _start_router(self, name: str) -> None:
        if name in self._lives:
            await self._lives[name].__aexit__()
        pauses = Pauses(self.dice)
        live = self._lives[name] = MortalLive(self._settings, pauses)
        builder = self._builders[name] = Builder(live, None, self._server)  # type: ignore[arg-type]  # in memory
        router = Router(live, builder.ensure, self.lookup.task)

        async def handle(events: Sequence[Event[EventData]]) -> Sequence[Sequence[Event[EventData]]]:
            await self._set_clock()
            outputs = await router.route_all(events)
            self.log.note(f"{name}: {[event.id[:8] for event in events]} -> {_decided(outputs)}")
            return outputs

        self.reactors[name] = Reactor(self.log, self.feeds["router"], handle, pauses)

    async def _set_clock(self) -> None:
        await self.redis.set(_CLOCK, int(self.log.at.timestamp() * 1_000))

    async def _plan(self, events: Sequence[Event[EventData]]) -> list[list[Event[EventData]]]:
        planner = Planner(self.lookup)  # type: ignore[arg-type]  # it asks for tasks and capabilities only
        given = [(event, await planner.plan(event)) for event in events]
        return [[event.caused(one, source="/consumers/planner") for one in data] for event, data in given]

    def say(self, data: EventData, *, tenant: str = "t", owner: str = "o", source: str = "/gateway") -> None:
        """Somebody says something."""
        task_id = getattr(data, "task_id", None)
        named = {"tenant": tenant, "owner": owner, "source": source}
        self.log.publish(Event.first(data, task_id=task_id, event_id=self.new_id(), time=self.log.at, **named))

    def new_id(self) -> UUID:
        """The same one in every run of a seed."""
        return UUID(int=self.dice.getrandbits(128))

    async def step(self, name: str) -> bool:
        """Let one process do one thing; whether there was anything to do."""
        if name == "keeper":
            return self._keep()
        try:
            process = self.agents.get(name) or self.reactors[name]
            return await process.step()
        except DeathError:
            await self.kill(name)
            return True

    def _keep(self) -> bool:
        folded = self.keeper.fold(self.dice.choice((1, 1, 2, 5, 256))) if self.dice.random() < 0.6 else False
        return self.keeper.publish(self.dice.choice((1, 2, 1_000))) or folded

    @property
    def names(self) -> list[str]:
        """Everybody."""
        return ["keeper", *self.reactors, *self.agents]

    async def tick(self) -> None:
        """The beat of janitor and routers; the sweep looks while the tables are level with the log, as the real one."""
        await self._set_clock()
        for builder in self._builders.values():
            await builder.look()
        is_level = self.keeper.is_level
        await self.janitor._wake_due(is_level=is_level)
        if is_level:
            await self.janitor._drive_on(self._resend, self.keeper.tables.position)

    async def _resend(self, events: Sequence[Event[EventData]], offered: int) -> None:
        """Unless a log was lost nothing may be forgotten, and all must end without being offered once more, too."""
        if self.sweeps:
            self.keeper.send(events)
        elif len(events) > offered:
            self.checker.broken(f"forgotten: {[str(event.taskid) for event in events]}")

    async def send(self, event: Event[EventData]) -> None:
        """What the janitor publishes."""
        self.log.publish(event)

    def _new_janitor(self) -> Janitor:
        return Janitor(self._server, self._janitor_tables, self)  # type: ignore[arg-type]  # tables and log in memory

    def pass_time(self, seconds: float) -> None:
        """Nobody does anything for so long but say that they live; nobody alive is silent for a lease's time."""
        while seconds > 0:
            self.log.at += timedelta(seconds=min(seconds, 20))
            seconds -= 20
            for agent in self.agents.values():
                agent.beat()
            self.say(AgentHeartbeat(agent_id=OURS), tenant=EVERYONE, owner=EVERYONE)
            if not self.offline:
                self.say(AgentHeartbeat(agent_id=OUTSIDE))

    # Faults

    async def kill(self, name: str) -> None:
        """SIGKILL, and another one in its place."""
        self.log.note(f"kill {name}")
        if name == "keeper":
            self.keeper.kill()
            self.janitor = self._new_janitor()
            return
        (self.agents.get(name) or self.reactors[name]).kill()
        if name in self._lives:
            await self.redis.delete("ganglion:agents:building")  # its right to build ends after 30 s
            await self._start_router(name)

    def stall(self, name: str) -> None:
        """Silent for longer than ack_wait."""
        self.log.note(f"stall {name}")
        if name == "keeper":
            self.keeper.repeat()
        else:
            (self.agents.get(name) or self.reactors[name]).stall()

    def die_soon(self) -> None:
        """A router will die behind one of its next questions."""
        self._lives[self.dice.choice(sorted(self._lives))].dies_after = self.dice.randint(1, 3)

    async def forget_live_state(self) -> None:
        """Valkey loses all it held. A router that has given slots and not yet said so may give others than it says."""
        self.log.note("valkey forgets everything")
        if any(self.reactors[name].has_to_say for name in self._lives):
            self.checker.watches_capacity = False
        await self.redis.flushall()
        await self._set_clock()

    def repeat_something(self) -> None:
        """Stored events are published again, out of order."""
        for item in self.dice.choices(self.log.kept, k=min(3, self.log.end)):
            if item.event is not None:
                self.log.publish(item.event)

    def lose_end(self) -> None:
        """The log loses its end, or all it held: a new epoch (producers.topology.start_epoch)."""
        left = self.log.end - self.dice.randint(1, 20) if self.dice.random() < 0.7 else 0
        common = max(0, min(left, self.keeper.tables.position.seq))
        self.sweeps = True
        self.log.note(f"lose all but {left}, {common} in common")
        self.log.lose_end(max(0, left))
        self.keeper.begin_epoch(common)
        self.janitor = self._new_janitor()
        for feed in self.feeds.values():
            feed.begin_anew(common)
        self.checker.watches_capacity = False


def _decided(outputs: Sequence[Sequence[Event[EventData]]]) -> list[str]:
    return [f"{one.data.subject_id[:8]} {one.data!r:.60}" for given in outputs for one in given]
