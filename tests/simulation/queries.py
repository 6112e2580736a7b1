"""What Postgres and NATS would answer, out of tables and log in memory; each method names the SQL that it follows."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Literal
from uuid import UUID

from consumers.keeper.agent_state import AgentState
from consumers.keeper.state import TaskState
from events import AGENT_STATES, TaskReady
from events.agent import EVERYONE
from events.streams import EPOCH_KEY
from storage.absence import Absent
from storage.janitor import Due, DueContext, DueProposal, Stuck
from storage.live.durable import Held, Known, Unrouted
from storage.live.heard import Outcome
from storage.live.store import BEAT_SECONDS
from storage.lookup import TaskView
from tests.simulation.keeper import Keeper
from tests.simulation.log import Feed, Log

_UNROUTED = ("no_capability", "all_busy", "all_open")
_OUTCOMES: dict[str, Outcome] = {"succeeded": "s", "partial": "p", "failed": "f", "timed_out": "f", "lost": "f"}


@dataclass
class JanitorTables:
    """`storage.janitor.JanitorStore`."""

    keeper: Keeper
    log: Log

    async def due(self, silent_after: float) -> list[Due]:
        """_DUE and absence.ABANDONED; there are no sessions to be archived."""
        found: dict[UUID, Due] = {}
        for task in self.keeper.tables.open_tasks():
            why = self._why(task, timedelta(seconds=silent_after))
            if why is not None:
                named = {name: getattr(task, name) for name in _DUE_FIELDS}
                found[task.id] = Due(why=why, correlation_id="c", traceparent=None, **named)
        return list(found.values())

    def _why(
        self, task: TaskState, silent: timedelta
    ) -> Literal["archived", "retry", "deadline", "overtime", "silent"] | None:
        now = self.log.at
        if task.deadline_at <= now - timedelta(seconds=10 if task.status == "running" else 0):
            return "deadline"
        if task.status in ("waiting", "running") and task.due_at is not None and task.due_at <= now:
            return "retry" if task.status == "waiting" else "overtime"
        if task.status == "running" and task.heartbeat_at is not None and task.heartbeat_at < now - silent:
            return "silent"
        return "silent" if self._is_abandoned(task, silent) else None

    def _is_abandoned(self, task: TaskState, silent: timedelta) -> bool:
        agent = self._agent_of(task)
        if task.status not in ("assigned", "running") or task.course.held is not None or agent is None:
            return False
        heard = max(task.updated_at, task.heartbeat_at or task.updated_at)
        never_began = task.status == "assigned" and agent.outside and heard < self.log.at - silent
        return agent.status in ("offline", "gone") or never_began or self._began_before(task, agent)

    def _began_before(self, task: TaskState, agent: AgentState) -> bool:
        """Whether it runs with a token that is good no more."""
        run = self.keeper.tables.runs.get(task.run_id) if task.run_id is not None else None
        since = agent.token_since if agent.outside and task.status == "running" else None
        return run is not None and since is not None and isinstance(run[6], datetime) and run[6] < since

    def _agent_of(self, task: TaskState) -> AgentState | None:
        ids = (f"{task.tenant}/{task.agent_id}", f"{EVERYONE}/{task.agent_id}")
        return next((agent for agent in self.keeper.tables.agents() if agent.id in ids), None)

    async def silent_agents(self, _: float) -> list[Absent]:
        """Nobody: agents are heard of as long as they live, and those that go say so."""
        return []

    async def lost_agents(self, _: float, __: float) -> list[Absent]:
        return []

    async def drained_agents(self) -> list[Absent]:
        return []

    async def due_proposals(self) -> list[DueProposal]:
        return []

    async def due_contexts(self) -> list[DueContext]:
        return []

    async def stuck(self, after: float, epoch: str, *, unroutable_after: float) -> list[Stuck]:
        """_STUCK; nobody is called, so nothing is pushed."""
        found: list[tuple[datetime, Stuck]] = []
        for task in self.keeper.tables.open_tasks():
            logged = self.keeper.tables.by_id.get(task.driving_id)
            if task.status not in ("submitted", "ready", "assigned") or logged is None:
                continue
            agent = self._agent_of(task)
            in_its_queue = task.status == "assigned" and agent is not None and agent.outside
            if in_its_queue and logged.epoch == epoch:
                continue
            unrouted = task.status == "ready" and task.reason in _UNROUTED
            patience = timedelta(seconds=unroutable_after if unrouted else after)
            if logged.epoch < epoch or max(task.updated_at, logged.time) < self.log.at - patience:
                one = Stuck(
                    task.id, task.status, task.agent_id, unrouted, pushed=False, epoch=logged.epoch, seq=logged.seq
                )
                found.append((task.updated_at, one))
        return [one for _, one in sorted(found, key=lambda pair: pair[0])]

    async def driving(self, stuck: Sequence[Stuck]) -> list[tuple[Stuck, bytes]]:
        """_BODIES."""
        places = {(one.epoch, one.seq): one.body for one in self.keeper.tables.by_id.values()}
        return [(one, places[one.epoch, one.seq]) for one in stuck]


_DUE_FIELDS = ("id", "tenant", "owner", "session_id", "version", "attempt", "run_id", "execution_id", "agent_id")


@dataclass
class Server:
    """A NATS client, for who asks where the log ends and how far the durables are."""

    log: Log
    feeds: dict[str, Feed]

    def jetstream(self) -> "Server":
        return self

    async def stream_info(self, _: str) -> SimpleNamespace:
        config = SimpleNamespace(metadata={EPOCH_KEY: self.log.epoch})
        return SimpleNamespace(config=config, state=SimpleNamespace(last_seq=self.log.end))

    async def consumer_info(self, _: str, name: str) -> SimpleNamespace:
        """Who has no part in the simulation has acknowledged nothing."""
        floor = self.feeds[name].floor if name in self.feeds else 0
        return SimpleNamespace(ack_floor=SimpleNamespace(stream_seq=floor))


@dataclass
class DurableTables:
    """`storage.live.durable.Durable`."""

    keeper: Keeper
    log: Log

    @asynccontextmanager
    async def open(self, _: object) -> AsyncGenerator["DurableTables"]:
        yield self

    @asynccontextmanager
    async def moment(self) -> AsyncGenerator[None]:
        yield

    async def position(self) -> tuple[str, int]:
        """The keeper goes on while a router waits for it."""
        self.keeper.catch_up()
        place = self.keeper.tables.position
        return place.epoch, place.seq

    async def agents(self) -> list[Known]:
        """_AGENTS and _RUNS."""
        return [self._known(agent) for agent in self.keeper.tables.agents() if agent.status != "gone"]

    def _known(self, agent: AgentState) -> Known:
        names = ("agent_id", "version", "name", "agent_type", "capabilities", "technologies", "capacity", "outside")
        entered = AGENT_STATES[agent.status].model_validate({name: getattr(agent, name) for name in names})
        ended: list[tuple[Outcome, int]] = []
        for row in self.keeper.tables.runs.values():
            status, finished, tokens = str(row[5]), row[7], row[8]
            if (
                row[4] != agent.agent_id
                or not isinstance(finished, datetime)
                or (status == "failed" and tokens is None)
            ):
                continue
            if status in _OUTCOMES:
                ended.append((_OUTCOMES[status], int(finished.timestamp() * 1_000)))
        heard = BEAT_SECONDS if agent.status == "active" else 0.0
        return Known(agent.tenant, agent.owner, entered, heard, tuple(sorted(ended, key=lambda one: one[1])[-50:]))

    async def held(self) -> AsyncGenerator[list[Held]]:
        """_RUNNING."""
        yield [
            Held(task.id, task.tenant, task.attempt, task.agent_id)
            for task in self.keeper.tables.open_tasks()
            if task.status in ("assigned", "running") and task.agent_id is not None and task.course.held is None
        ]

    async def unrouted(self) -> AsyncGenerator[list[Unrouted]]:
        """_READY."""
        ready = [task for task in self.keeper.tables.open_tasks() if task.status == "ready"]
        rows = [(self.keeper.tables.by_id.get(task.driving_id), task.reason) for task in ready]
        yield [Unrouted(row.body, why) for row, why in rows if row is not None and row.type == TaskReady.event_type]


@dataclass
class LookupTables:
    """`storage.lookup.Lookup`, as far as the main path asks."""

    keeper: Keeper

    async def task(self, task_id: UUID) -> TaskView | None:
        """_QUERY."""
        task = self.keeper.tables.task(task_id)
        if task is None:
            return None
        names = ("id", "tenant", "owner", "session_id", "status", "attempt", "agent_id", "run_id", "execution_id")
        spec = self.keeper.tables.spec(task_id).spec
        return TaskView(**{name: getattr(task, name) for name in names}, spec=spec, redacted={})

    async def capabilities(self, _: str) -> frozenset[str]:
        """What the agents that are there can do."""
        return frozenset(name for agent in self.keeper.tables.agents() for name in agent.capabilities)
