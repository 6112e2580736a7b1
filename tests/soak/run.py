"""A soak: many subscribers that wander, gateways that are killed, and a comparison of every record with the log."""

import asyncio
import io
import random
import signal
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from bench.processes import rss_mib
from tests.soak.checker import Verdict, compare
from tests.soak.clients import Wanderer
from tests.soak.record import Record
from tests.soak.site import Gateway, Load, gateways
from tests.soak.speech import hold_a_stage, speak
from tests.support.eventually import PATIENCE
from tests.support.promises import OutOfPatienceError
from tests.support.stack_parts import Parts
from tests.support.stack_proof import Proof

_LISTENERS = 0.03
"""The share that listens to a task in which somebody speaks."""
_FOLLOWERS = 0.15
"""The share of subscribers that follow one new task after the other, each from its first event to its end."""


_CANCELLED_AGAIN_AFTER = 0.5
_ENDED_WITHIN = 25.0
"""Seconds: with the minute before it, and the patience of a busy machine, less than a test may take."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long (seconds), how many, and how rough: a gateway dies every `between_kills` seconds on the average."""

    seconds: float
    subscribers: int
    owners: int
    tasks_per_second: float
    gateways: int = 2
    stay: float = 8.0
    between_kills: float = 5.0
    seed: int = 0


@dataclass
class Result:
    """What happened and what did not fit."""

    verdict: Verdict
    tasks: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    rss_mib: float = 0.0
    settled_after: float = 0.0


async def soak(parts: Parts, plan: Plan) -> Result:
    """Do it all; the verdict's `faults` are empty if every subscriber saw everything once and in order."""
    dice = random.Random(plan.seed)
    owners = [f"soak-{plan.seed % 10_000}-{number}" for number in range(plan.owners)]
    async with AsyncExitStack() as stack:
        doors = await stack.enter_async_context(gateways(parts, plan.gateways))
        load = Load(parts, doors, owners, plan.tasks_per_second)
        stack.push_async_callback(load.close)
        crowd = Crowd(parts, plan, doors, dice)
        await stack.enter_async_context(crowd.wandering(load, owners))
        result = Result(Verdict())
        stage = await hold_a_stage(parts, owners[0], f"http://127.0.0.1:{doors[0].port}")
        async with (
            running(load.run(dice)),
            running(speak(parts, owners[0], stage, dice)),
            crowd.listening(owners[0], stage),
        ):
            await _kill(doors, plan, dice, result)
        result.tasks = sum(map(len, load.accepted.values()))
        async with Proof(parts) as proof:
            await proof.all_end(
                [task_id for tasks in load.accepted.values() for task_id in tasks], within=_ENDED_WITHIN
            )
        began = time.monotonic()
        crowd.settle()
        result.verdict = await crowd.agree(parts.database_url)
        result.settled_after = time.monotonic() - began
        result.rss_mib = max(rss_mib({str(door.port): door.pid for door in doors}).values())
        for wanderer in crowd.wanderers:
            for code in wanderer.refused:
                result.refused[code] = result.refused.get(code, 0) + 1
        return result


class Crowd:
    """All subscribers and their records."""

    def __init__(self, parts: Parts, plan: Plan, doors: list[Gateway], dice: random.Random) -> None:
        self._parts = parts
        self._plan = plan
        self._doors = doors
        self._dice = dice
        self.wanderers: list[Wanderer] = []
        self._settled = False

    @asynccontextmanager
    async def wandering(self, load: Load, owners: list[str]) -> AsyncGenerator[None]:
        """They wander until the block ends."""
        followers = round(self._plan.subscribers * _FOLLOWERS)
        news: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        load.on_task.append(news)
        async with AsyncExitStack() as stack:
            for number in range(self._plan.subscribers - followers):
                wanderer = self._wanderer(owners[number % len(owners)], "tasks")
                await stack.enter_async_context(running(wanderer.run()))
            for _ in range(followers):
                await stack.enter_async_context(running(self._follow(news)))
            yield

    @asynccontextmanager
    async def listening(self, owner: str, task_id: str) -> AsyncGenerator[None]:
        """Some follow a task in which somebody speaks; they go when the block ends."""
        async with AsyncExitStack() as stack:
            for _ in range(max(2, round(self._plan.subscribers * _LISTENERS))):
                wanderer = self._wanderer(owner, f"task:{task_id}")
                await stack.enter_async_context(running(wanderer.run()))
            yield
            for wanderer in self.wanderers:
                wanderer.record.ended |= wanderer.record.room == f"task:{task_id}"

    def settle(self) -> None:
        """Drop out no more."""
        self._settled = True
        for wanderer in self.wanderers:
            wanderer.settle()

    async def agree(self, database_url: str, within: float = 40.0) -> Verdict:
        """The verdict once there are no faults, or after the deadline."""
        deadline = time.monotonic() + within
        while True:
            verdict = await compare(database_url, [wanderer.record for wanderer in self.wanderers])
            if not verdict.faults or time.monotonic() > deadline:
                return verdict
            await asyncio.sleep(1.0)

    async def _follow(self, news: asyncio.Queue[tuple[str, str]]) -> None:
        while True:
            owner, task_id = await news.get()
            await self._wanderer(owner, f"task:{task_id}").run()

    def _wanderer(self, owner: str, room: str) -> Wanderer:
        wanderer = Wanderer(
            Record(owner, room),
            self._parts.token(owner),
            lambda: [door.port for door in self._doors],
            random.Random(self._dice.random()),
            stay=self._plan.stay,
        )
        self.wanderers.append(wanderer)
        if self._settled:
            wanderer.settle()
        return wanderer


async def _kill(doors: list[Gateway], plan: Plan, dice: random.Random, result: Result) -> None:
    """One gateway after the other, killed or asked to stop, and started again, for as long as planned."""
    until = time.monotonic() + plan.seconds
    while True:
        pause = plan.between_kills * dice.uniform(0.5, 1.5)
        if time.monotonic() + pause > until:
            await asyncio.sleep(max(0.0, until - time.monotonic()))
            return
        await asyncio.sleep(pause)
        door, how = dice.choice(doors), dice.choice((signal.SIGKILL, signal.SIGTERM))
        await door.die(how)
        result.kills[how.name] = result.kills.get(how.name, 0) + 1
        await asyncio.sleep(dice.uniform(0, 1))
        await door.start()


@asynccontextmanager
async def running(work: Coroutine[object, object, None]) -> AsyncGenerator[None]:
    """Run beside the block, and end with it; a failure shows at its end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        failed = task.done() and not task.cancelled() and task.exception()
        await ended(task)
        if failed:
            raise failed


async def ended(task: "asyncio.Task[None]", within: float = 5.0) -> None:
    """Cancel it until it has ended; OutOfPatienceError with the place where it hangs.

    Once is not enough: Python 3.11's `asyncio.wait_for`, which nats-py waits in for every acknowledgement, forgets a
    cancellation that comes in the same turn of the loop as the answer.
    """
    deadline = time.monotonic() + PATIENCE * within
    while not task.done():
        if time.monotonic() > deadline:
            stack = io.StringIO()
            task.print_stack(file=stack)
            raise OutOfPatienceError(f"{task.get_coro()} was cancelled and goes on:\n{stack.getvalue()}")
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCELLED_AGAIN_AFTER)
    if not task.cancelled():
        task.exception()  # seen: it ends anyway
