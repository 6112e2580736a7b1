"""A hundred sockets that stop reading, and what the others notice of it."""

import asyncio
from dataclasses import dataclass
from time import perf_counter

from nats.aio.client import Client

from bench.crowd import Crowd, Listener
from bench.fanout import EVENT, paced, progress, subscribe
from bench.figures import percentile
from bench.processes import rss_mib
from bench.stack import Stack

_FLOOD = (800, 20_000, 0.025)
"""Events, bytes of each, seconds between them: more than the kernel and the gateway keep for one socket."""
_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Deaf:
    """The readers' seconds without and with the deaf, the gateway's growth in MiB, and how the deaf were closed:
    how many with 4408 and a resume point, and how long after the flood began the last of them was let go.
    """

    alone: list[float]
    beside: list[float]
    grown_mib: float
    closed: int
    seconds: float

    def p99(self) -> tuple[float, float]:
        """Milliseconds, without and with."""
        return percentile(self.alone, 0.99) * 1e3, percentile(self.beside, 0.99) * 1e3


async def deaf(stack: Stack, client: Client, *, reading: int = 500, not_reading: int = 100) -> Deaf:
    """The deaf belong to another owner, whose room is flooded with large events."""
    crowd, silent = Crowd(EVENT), Crowd(EVENT)
    gateway = {"it": stack.pids()["gateway"]}
    try:
        await subscribe(crowd, stack, reading)
        await subscribe(silent, stack, not_reading, owner="deaf")
        alone = await paced(crowd, client, lambda number: number >= 50)
        for listener in silent.listeners:
            assert listener.transport is not None  # noqa: S101 - it has just subscribed
            listener.transport.pause_reading()
        before, began = rss_mib(gateway)["it"], perf_counter()
        flooding = asyncio.create_task(_flood(client))
        most = 0.0

        def over(_: int) -> bool:
            nonlocal most
            most = max(most, rss_mib(gateway)["it"] - before)
            return flooding.done() and perf_counter() - began > _WITHIN

        beside = await paced(crowd, client, over)
        await flooding
        seconds = await _let_go(silent.listeners, began)
        closed = sum(_was_sent_away(listener) for listener in silent.listeners)
        return Deaf(alone, beside, most, closed, seconds)
    finally:
        crowd.close()
        silent.close()


async def _flood(client: Client) -> None:
    events, size, pause = _FLOOD
    for number in range(events):
        await client.publish(*progress(number, owner="deaf", note="y" * size))
        await asyncio.sleep(pause)


async def _let_go(listeners: list[Listener], began: float) -> float:
    """Read on, and hear how it ended."""
    for listener in listeners:
        if listener.transport is not None:
            listener.transport.resume_reading()
    async with asyncio.timeout(_WITHIN):
        while any(listener.transport is not None for listener in listeners):  # noqa: ASYNC110 - a benchmark's end
            await asyncio.sleep(0.05)
    return perf_counter() - began


def _was_sent_away(listener: Listener) -> bool:
    return listener.closed is not None and listener.closed[0] == 4408 and listener.closed[1] != b"0"
