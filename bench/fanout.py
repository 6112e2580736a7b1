"""One event to thousands of subscribers: the gateway beside uvicorn's bare websockets, in turn, in one run."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

from nats.aio.client import Client

from bench.crowd import Crowd
from bench.figures import percentile
from bench.http import HttpConnection
from bench.processes import cpu_seconds, rss_mib
from bench.stack import Stack
from deploy.local.ports import free_port
from events.base import Event
from events.codec import encode
from events.ids import new_id, run_id
from events.run import RunProgress
from events.subjects import subject_of

EVENT = b'{"type":"event"'
_PACE = 0.1
_NOTE = "x" * 150

Fire = Callable[[int], Awaitable[None]]
"""Sends the n-th event."""


@dataclass(frozen=True, slots=True)
class Fanout:
    """Deliveries a second back to back, the server's CPU microseconds for one, seconds at an easy pace."""

    rate: float
    cpu_us: float
    seconds: list[float]

    def p99(self) -> float:
        """Milliseconds from publishing to the reader, 99 of 100."""
        return percentile(self.seconds, 0.99) * 1e3


async def measure(crowd: Crowd, pid: int, fire: Fire, *, rounds: int, at_ease: int) -> Fanout:
    """`rounds` events as fast as they go, then `at_ease` ones, ten a second."""
    crowd.seconds.clear()
    crowd.expect(rounds)
    before, began = cpu_seconds({"it": pid})["it"], perf_counter()
    for number in range(rounds):
        crowd.sent.append(perf_counter())
        await fire(number)
    await crowd.complete(within=60)
    deliveries = rounds * len(crowd.listeners)
    rate = deliveries / (crowd.last - began)
    cpu = (cpu_seconds({"it": pid})["it"] - before) / deliveries * 1e6
    crowd.seconds.clear()
    crowd.expect(at_ease)
    for number in range(at_ease):
        crowd.sent.append(perf_counter())
        await fire(rounds + number)
        await asyncio.sleep(_PACE)
    await crowd.complete(within=60)
    return Fanout(rate, cpu, list(crowd.seconds))


@asynccontextmanager
async def floor_crowd(count: int) -> AsyncGenerator[tuple[Crowd, int, Fire, float]]:
    """A bare server with so many listeners."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.fanout_floor", str(port))
    crowd = Crowd(b'{"cursor"')
    try:
        trigger = await _connected(port)
        await trigger.request(_post(b"{}"))
        empty = rss_mib({"it": process.pid})["it"]
        await crowd.connect("127.0.0.1", port, "/ws", count)
        kib = (rss_mib({"it": process.pid})["it"] - empty) * 1024 / count
        body = b'{"cursor":"%s"}' % (b"x" * 430)

        async def fire(_: int) -> None:
            await trigger.request(_post(body))

        yield crowd, process.pid, fire, kib
        trigger.close()
    finally:
        crowd.close()
        process.kill()
        await process.wait()


@asynccontextmanager
async def gateway_crowd(stack: Stack, client: Client, count: int) -> AsyncGenerator[tuple[Crowd, int, Fire, float]]:
    """The stack's gateway with so many subscribers of the room `tasks`."""
    pid = stack.pids()["gateway"]
    crowd = Crowd(EVENT)
    try:
        empty = rss_mib({"it": pid})["it"]
        await subscribe(crowd, stack, count)
        kib = (rss_mib({"it": pid})["it"] - empty) * 1024 / count

        async def fire(number: int) -> None:
            await client.publish(*progress(number))

        yield crowd, pid, fire, kib
    finally:
        crowd.close()


async def subscribe(crowd: Crowd, stack: Stack, count: int, *, after: str | None = None, owner: str = "dev") -> None:
    """So many more subscribers of an owner's `tasks`, confirmed."""
    first = len(crowd.listeners)
    await crowd.connect(stack.host, stack.port, "/ws", count, f"Authorization: Bearer {stack.token_of(owner)}\r\n")
    place = b"" if after is None else b',"after":"%s"' % after.encode()
    for listener in crowd.listeners[first:]:
        listener.send(b'{"type":"subscribe","id":"a","room":"tasks"%s}' % place)
    await crowd.until(lambda listener: b'"subscribed"' in listener.told)


async def paced(crowd: Crowd, client: Client, is_over: Callable[[int], bool]) -> list[float]:
    """Ten events a second for everybody until it is over; how old each came."""
    crowd.seconds.clear()
    number = 0
    while not is_over(number):
        crowd.expect(1)
        crowd.sent.append(perf_counter())
        await client.publish(*progress(number))
        await crowd.complete(within=30)
        await asyncio.sleep(_PACE)
        number += 1
    return list(crowd.seconds)


def progress(number: int, *, owner: str = "dev", note: str = _NOTE) -> tuple[str, bytes]:
    """Subject and body of an event that changes nothing: progress of a task that does not exist."""
    task = new_id()
    data = RunProgress(
        run_id=run_id(task, 1),
        task_id=task,
        attempt=1,
        execution_id=new_id(),
        agent_id="bench",
        seq=number + 1,
        note=note,
    )
    event = Event.first(data, source="/bench", tenant="dev", owner=owner, task_id=task)
    return subject_of(event), encode(event)


async def _connected(port: int) -> HttpConnection:
    async with asyncio.timeout(10):
        while True:
            try:
                return await HttpConnection.open("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)


def _post(body: bytes) -> bytes:
    return b"POST /fire HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
