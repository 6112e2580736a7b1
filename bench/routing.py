"""The router by itself on a real Valkey: what a task costs it, from task.ready to its release, and decisions a second.

In the figures is all of the router's own: reading both events, judging 20 agents, the round trips, writing the
decision. Left out is the bus on either side. Batches of 32, as the runtime hands them over.
"""

import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from pydantic import SecretStr

from bench.figures import Row, median
from cli.embedded import temporary_home
from consumers.router.router import Router
from deploy.local.servers import Servers
from events import AgentActive, Event, EventData, RouteDecided, TaskReady, TaskSucceeded
from events.codec import decode_structured, encode
from events.ids import new_id
from storage.live.heard import state
from storage.live.store import LiveAgents, Op, RedisSettings

AGENTS = 20
_BATCH = 32
_TASKS = 3_200
_SKILLS = ("read", "write", "draw", "count", "answer")
_LONG = 3_600.0


class Routing:
    """The figures of one run."""

    def __init__(self) -> None:
        self._rates: list[float] = []
        self._costs: list[float] = []

    async def measure(self) -> None:
        """Route and release 3,200 tasks, after a warm-up."""
        async with _router() as router:
            await _route(router, _TASKS // 10)
            rate, cost = await _route(router, _TASKS)
        self._rates.append(rate)
        self._costs.append(cost)

    def rows(self) -> list[Row]:
        """Decisions a second, one batch after another, and the router's CPU a task; none if nothing was measured."""
        if not self._rates:
            return []
        return [
            Row("routing.decisions_per_s", median(self._rates), "/s"),
            Row("routing.cpu_us", median(self._costs), "us/task"),
        ]


async def _route(router: Router, tasks: int) -> tuple[float, float]:
    """The rate, and microseconds of CPU a task."""
    seconds = cpu = 0.0
    for _ in range(0, tasks, _BATCH):
        ready = [encode(_ready(number)) for number in range(_BATCH)]
        decided, wall, used = await _timed(router.route_all, ready)
        ended = [encode(_ended(event)) for event in decided if isinstance(event.data, RouteDecided)]
        if len(ended) != _BATCH:
            raise AssertionError("a figure of tasks that wait would mean something else")
        _, more_wall, more_used = await _timed(router.route_all, ended)
        seconds += wall + more_wall
        cpu += used + more_used
    return tasks / seconds, cpu / tasks * 1e6


async def _timed(
    handle: Callable[[Sequence[Event[EventData]]], Awaitable[list[list[Event[EventData]]]]], bodies: Sequence[bytes]
) -> tuple[list[Event[EventData]], float, float]:
    """The outputs, the seconds and the CPU seconds, reading and writing included."""
    wall, used = time.perf_counter(), time.process_time()
    outputs = [event for given in await handle([decode_structured(body) for body in bodies]) for event in given]
    for event in outputs:
        encode(event)
    return outputs, time.perf_counter() - wall, time.process_time() - used


@asynccontextmanager
async def _router() -> AsyncGenerator[Router]:
    """A router whose state holds the agents, each with two skills of five."""
    folder = temporary_home()
    try:
        async with Servers(folder, nats=False, postgres=False) as servers:
            settings = RedisSettings(redis_url=SecretStr(servers.redis_url))
            async with LiveAgents(settings) as live:
                async with live.building() as token:
                    await live.apply(_joining(), builder=token or "")
                yield Router(live, _never, _not_kept)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _never() -> None:
    raise AssertionError("the state was built before")


async def _not_kept(_: UUID) -> None:
    """The row of a task: there is no database here."""


def _joining() -> list[Op]:
    return [
        state(
            "bench",
            "bench",
            AgentActive(
                agent_id=f"AGENT-{number}",
                version=1,
                name=f"AGENT-{number}",
                agent_type="implementer",
                capabilities={_SKILLS[number % 5]: 1.0, _SKILLS[(number + 1) % 5]: 0.7},
                capacity=50,
                outside=True,
            ),
            "",
            heard=_LONG,
        )
        for number in range(AGENTS)
    ]


def _ready(number: int) -> Event[EventData]:
    task_id = new_id()
    data = TaskReady(
        task_id=task_id,
        kind="goal",
        from_status="submitted",
        version=2,
        attempt=1,
        required_capabilities=(_SKILLS[number % 5],),
    )
    return Event.first(data, source="/keeper", tenant="bench", owner="bench", task_id=task_id)


def _ended(decided: Event[EventData]) -> Event[EventData]:
    task_id: UUID = decided.taskid or new_id()
    data = TaskSucceeded(
        task_id=task_id,
        kind="goal",
        from_status="running",
        version=5,
        attempt=1,
        result={"text": "The export stops at row 200."},
    )
    return decided.caused(data, source="/keeper")
