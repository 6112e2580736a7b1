"""Two hundred come late and replay ten thousand events each, while a thousand live ones want each event at once."""

import asyncio
import sys
from dataclasses import dataclass

import orjson
from nats.aio.client import Client

from bench.crowd import Crowd
from bench.fanout import EVENT, paced, progress, subscribe
from bench.figures import percentile
from bench.processes import cpu_seconds
from bench.stack import Stack


@dataclass(frozen=True, slots=True)
class Late:
    """The live ones' seconds without and with replays, how long the replays took, and what a replayed event cost."""

    alone: list[float]
    beside: list[float]
    seconds: float
    cpu_us: float

    def p99(self) -> tuple[float, float]:
        """Milliseconds, without and with."""
        return percentile(self.alone, 0.99) * 1e3, percentile(self.beside, 0.99) * 1e3


async def late(stack: Stack, client: Client, *, live: int = 1_000, replaying: int = 200, events: int = 10_000) -> Late:
    """Both measurements, one after the other, on the same live sockets."""
    crowd = Crowd(EVENT)
    try:
        await subscribe(crowd, stack, 1)
        after = orjson.loads(crowd.listeners[0].told)["from"]
        crowd.close()
        crowd.listeners.clear()
        await _history(client, stack, events)
        await subscribe(crowd, stack, live)
        alone = await paced(crowd, client, lambda number: number >= 50)
        gateway = {"it": stack.pids()["gateway"]}
        before = cpu_seconds(gateway)["it"]
        process = await asyncio.create_subprocess_exec(
            *(
                "nice",
                "-n",
                "10",
                sys.executable,
                "-m",
                "bench.replay_crowd",
                stack.host,
                str(stack.port),
                stack.token_of("dev"),
                after,
            ),
            *(str(replaying), str(events)),
            stdout=asyncio.subprocess.PIPE,
        )
        beside = await paced(crowd, client, lambda _: process.returncode is not None)
        spent = cpu_seconds(gateway)["it"] - before
        assert process.stdout is not None  # noqa: S101 - asked for above
        seconds = float(await process.stdout.read())
        return Late(alone, beside, seconds, spent / (replaying * events) * 1e6)
    finally:
        crowd.close()


async def _history(client: Client, stack: Stack, events: int) -> None:
    """Put so many events into the log, and wait until a new subscriber could replay the last of them."""
    for number in range(events):
        await client.publish(*progress(number))
        if number % 256 == 255:
            await client.flush()
    await client.flush()
    last = Crowd(EVENT)
    try:
        await subscribe(last, stack, 1)
        place = orjson.loads(last.listeners[0].told)["from"]
        await subscribe(last, stack, 1, after=place)  # confirmed once the keeper has got there
    finally:
        last.close()
