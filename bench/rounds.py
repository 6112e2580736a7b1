"""The run: floor and stack measured in turn, three rounds, so that a slow minute of the machine hits both."""

import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bench.accept import accept
from bench.beside import PEERS, PeerError, carried
from bench.chat import OPEN, Conversations
from bench.completions import Completions
from bench.endtoend import drain, latencies, throughput
from bench.figures import Row, median, percentile
from bench.floor import Floor
from bench.http import Requests
from bench.processes import rss_mib
from bench.refinements import AT_ONCE, Refinements
from bench.routing import Routing
from bench.stack import Stack
from bench.subscribers import SUBSCRIBERS, Sockets, publishing
from cli.embedded import temporary_home
from deploy.local.nats import LogSync
from deploy.local.servers import Servers

Say = Callable[[str], None]

_ALONE = {"sockets", "refinements", "chat", "routing"}
"""Parts that need no floor of raw publishes beside them."""


@dataclass
class Samples:
    """Figures of all rounds by name; latencies in seconds, pooled."""

    rounds: dict[str, list[float]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        """One round's figure."""
        self.rounds.setdefault(name, []).append(value)

    def pool(self, name: str, seconds: list[float]) -> None:
        """One round's single latencies."""
        self.seconds.setdefault(name, []).extend(seconds)

    def median(self, name: str) -> float:
        """The middle round."""
        return median(self.rounds[name])


@asynccontextmanager
async def floor_server(sync: LogSync) -> AsyncGenerator[Floor]:
    """A nats-server with the settings of the stack's own, and a stream on it."""
    folder = temporary_home()
    servers = Servers(folder, postgres=False, valkey=False, log_sync=sync)
    try:
        async with servers, Floor(servers.nats_url) as floor:
            yield floor
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def measure_floor(samples: Samples) -> None:
    """Publish, one at a time and 64 in flight, then consume."""
    async with floor_server("100ms") as floor:
        samples.add("floor.publish", await floor.publish_rate(1.5))
        samples.add("floor.consume", await floor.consume_rate(1.0))
        samples.pool("floor.publish.1", await floor.publish_seconds(1000))
    async with floor_server("always") as floor:
        samples.add("floor.publish_fsync", await floor.publish_rate(1.5))


async def measure_accept(stack: Stack, requests: Requests, samples: Samples) -> None:
    """POST on 1 and on 64 connections; the work that was accepted is done before the next measurement."""
    for connections, seconds in ((1, 1.5), (64, 2.0)):
        async with Completions(stack.host, stack.port, stack.token) as completions:
            accepted = await accept(stack.host, stack.port, requests, connections=connections, seconds=seconds)
            samples.add(f"accept.rate.{connections}", accepted.rate)
            samples.pool(f"accept.{connections}", accepted.seconds)
            samples.add("accept.log_only", accepted.log_only)
            await drain(stack, completions, accepted)


async def measure_endtoend(stack: Stack, requests: Requests, samples: Samples, *, tasks: int = 5_000) -> None:
    """Throughput at 256 in flight, then latency at one in flight."""
    done = await throughput(stack, requests, tasks=tasks, in_flight=256)
    samples.add("e2e.tasks_per_s", done.rate)
    samples.pool("e2e.256", done.seconds)
    samples.add("e2e.foreign_cpu", done.foreign * 100)
    for name, microseconds in done.cpu_us.items():
        samples.add(f"cpu_us.{name}", microseconds)
    samples.pool("e2e.1", await latencies(stack, requests, tasks=300, warm_up=30))


async def measure_peer(peer: str, samples: Samples, say: Say) -> None:
    """Another task queue on servers of its own: throughput, then latency at one in flight; left out if it fails."""
    try:
        done = await carried(peer)
    except PeerError as error:
        say(f"{peer} is left out of this round: {error}")
        return
    samples.add(f"peer.{peer}.tasks_per_s", done.rate)
    samples.pool(f"peer.{peer}.1", done.seconds)


async def run(wanted: frozenset[str], rounds: int, say: Say) -> list[Row]:
    """Measure what is wanted (the parts of `python -m bench`) and return the rows; rates have their floor."""
    samples, routing = Samples(), Routing()
    if "routing" in wanted:
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}: the router alone")
            await routing.measure()
    if wanted == {"routing"}:
        return routing.rows()
    if wanted == {"floor"}:
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}: floor")
            await measure_floor(samples)
        return rows(samples)
    async with Stack() as stack:
        sockets, refinements, chat = Sockets(), Refinements(), Conversations()
        if "sockets" in wanted:
            await measure_sockets(stack, sockets, rounds, say)
        if "refinements" in wanted:
            await measure_refinements(stack, refinements, rounds, say)
        if not wanted <= _ALONE:
            await measure_rounds(stack, samples, wanted, rounds, say)
        if "chat" in wanted:  # last, as it leaves the database large
            say(f"{OPEN:,} conversations")
            await chat.measure(stack)
    beside = [*sockets.rows(), *refinements.rows(), *chat.rows(), *routing.rows()]
    return beside if wanted <= _ALONE else [*rows(samples), *beside]


async def measure_rounds(stack: Stack, samples: Samples, wanted: frozenset[str], rounds: int, say: Say) -> None:
    """Floor, accept and end to end in turn, so that a slow minute hits them all."""
    requests = Requests(stack.host, stack.port, stack.token)
    say("warm-up")
    await throughput(stack, requests, tasks=500, in_flight=64)
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}: floor")
        await measure_floor(samples)
        if "accept" in wanted:
            say(f"round {number + 1} of {rounds}: accept")
            await measure_accept(stack, requests, samples)
        if "e2e" in wanted:
            say(f"round {number + 1} of {rounds}: end to end")
            await measure_endtoend(stack, requests, samples)
        for peer in PEERS if "peers" in wanted else ():
            say(f"round {number + 1} of {rounds}: {peer}")
            await measure_peer(peer, samples, say)
    for name, mib in rss_mib(stack.pids()).items():
        samples.add(f"rss_mib.{name}", mib)


async def measure_sockets(stack: Stack, sockets: Sockets, rounds: int, say: Say) -> None:
    """Fan-out beside its own floor, round by round; late and deaf subscribers once."""
    async with publishing(stack) as client:
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}: {SUBSCRIBERS:,} subscribers")
            await sockets.fan_out(stack, client)
        say("late and deaf subscribers")
        await sockets.neighbours(stack, client)


async def measure_refinements(stack: Stack, refinements: Refinements, rounds: int, say: Say) -> None:
    """One alone and ten at once, round by round, after a round that only warms up."""
    await Refinements().round(stack)
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}: {AT_ONCE} refinements at once")
        await refinements.round(stack)


_RATES = (
    "floor.publish",
    "floor.publish_fsync",
    "floor.consume",
    "accept.rate.1",
    "accept.rate.64",
    "e2e.tasks_per_s",
    *(f"peer.{peer}.tasks_per_s" for peer in PEERS),
)
_LATENCIES = (
    ("floor.publish_{}_ms.1", "floor.publish.1"),
    ("accept.{}_ms.1", "accept.1"),
    ("accept.{}_ms.64", "accept.64"),
    ("e2e.{}_ms.1", "e2e.1"),
    ("e2e.{}_ms.256", "e2e.256"),
    *((f"peer.{peer}.{{}}_ms.1", f"peer.{peer}.1") for peer in PEERS),
)
_OURS = ("rss_mib.gateway", "rss_mib.consumers")


def rows(samples: Samples) -> list[Row]:
    """Rates as shares of `floor.publish`, latencies as multiples of one publish alone, then costs."""
    floor = samples.median("floor.publish")
    found = [
        Row(name, samples.median(name), "/s", samples.median(name) / floor) for name in _RATES if name in samples.rounds
    ]
    for pattern, pool in _LATENCIES:
        if pool in samples.seconds:
            for label, share in (("p50", 0.50), ("p99", 0.99)):
                base = percentile(samples.seconds["floor.publish.1"], share)
                value = percentile(samples.seconds[pool], share)
                found.append(Row(pattern.format(label), value * 1e3, "ms", value / base))
    if all(name in samples.rounds for name in _OURS):
        found.append(Row("rss_mib", sum(samples.median(name) for name in _OURS), "MiB"))
    found += [Row(name, samples.median(name), "MiB") for name in sorted(samples.rounds) if name.startswith("rss_mib.")]
    found += [
        Row(name, samples.median(name), "us/task") for name in sorted(samples.rounds) if name.startswith("cpu_us.")
    ]
    if "e2e.foreign_cpu" in samples.rounds:
        found.append(Row("e2e.foreign_cpu", max(samples.rounds["e2e.foreign_cpu"]), "% of machine"))
    if "accept.log_only" in samples.rounds:
        found.append(Row("accept.log_only", sum(samples.rounds["accept.log_only"]), "answers"))
    return found
