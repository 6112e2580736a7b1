"""What subscribers cost and notice: fan-out beside its floor, late ones beside live ones, deaf ones beside readers."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from nats.aio.client import Client
from pydantic import SecretStr

from bench.deaf import deaf
from bench.fanout import Fanout, floor_crowd, gateway_crowd, measure
from bench.figures import Row, median, percentile
from bench.late import late
from bench.stack import Stack
from producers.connect import BusSettings, Connection

SUBSCRIBERS = 5_000
_ROUNDS = 30
_AT_EASE = 15


@asynccontextmanager
async def publishing(stack: Stack) -> AsyncGenerator[Client]:
    """A connection that may publish any event."""
    async with Connection(BusSettings(nats_url=SecretStr(stack.nats_url)), "bench") as client:
        yield client


class Sockets:
    """The figures of all rounds, by name."""

    def __init__(self) -> None:
        self._rounds: dict[str, list[float]] = {}
        self._seconds: dict[str, list[float]] = {}

    async def fan_out(self, stack: Stack, client: Client) -> None:
        """One round: the floor, then the gateway."""
        async with floor_crowd(SUBSCRIBERS) as (crowd, pid, fire, kib):
            self._note("floor", await measure(crowd, pid, fire, rounds=_ROUNDS, at_ease=_AT_EASE), kib)
        async with gateway_crowd(stack, client, SUBSCRIBERS) as (crowd, pid, fire, kib):
            self._note("sockets", await measure(crowd, pid, fire, rounds=_ROUNDS, at_ease=_AT_EASE), kib)

    async def neighbours(self, stack: Stack, client: Client) -> None:
        """Once: who comes late, and who stops reading."""
        came_late = await late(stack, client)
        self._rounds |= {"late.replay_s": [came_late.seconds], "late.cpu_us": [came_late.cpu_us]}
        self._seconds |= {"late.alone": came_late.alone, "late.beside": came_late.beside}
        stopped = await deaf(stack, client)
        self._rounds |= {"deaf.grown_mib": [stopped.grown_mib], "deaf.closed_4408": [float(stopped.closed)]}
        self._seconds |= {"deaf.alone": stopped.alone, "deaf.beside": stopped.beside}

    def rows(self) -> list[Row]:
        """Ratios: to the floor of the same round; of latencies beside others, to those without them.

        Memory is that of the first round: later ones find room that the earlier left.
        """
        if "sockets.rate" not in self._rounds:
            return []

        def first(name: str) -> float:
            return self._rounds[name][0]

        found = [
            self._beside("deliveries", "rate", "/s"),
            self._beside("cpu", "cpu_us", "us/delivery"),
            self._beside("p99", "p99_ms", "ms"),
            Row("sockets.memory", first("sockets.kib"), "KiB/socket", first("sockets.kib") / first("floor.kib")),
        ]
        for name in ("late", "deaf"):
            if f"{name}.beside" in self._seconds:
                alone = percentile(self._seconds[f"{name}.alone"], 0.99)
                beside = percentile(self._seconds[f"{name}.beside"], 0.99)
                found.append(Row(f"sockets.{name}.live_p99", beside * 1e3, "ms", beside / alone))
        units = {"late.replay_s": "s", "late.cpu_us": "us/event", "deaf.grown_mib": "MiB", "deaf.closed_4408": "of 100"}
        found += [
            Row(f"sockets.{name}", self._rounds[name][0], unit) for name, unit in units.items() if name in self._rounds
        ]
        return found

    def _note(self, whose: str, fanout: Fanout, kib: float) -> None:
        for name, value in (("rate", fanout.rate), ("cpu_us", fanout.cpu_us), ("p99_ms", fanout.p99()), ("kib", kib)):
            self._rounds.setdefault(f"{whose}.{name}", []).append(value)

    def _beside(self, shown: str, name: str, unit: str) -> Row:
        """The middle round and the middle ratio of the pairs."""
        ours, floors = self._rounds[f"sockets.{name}"], self._rounds[f"floor.{name}"]
        ratio = median([one / other for one, other in zip(ours, floors, strict=True)])
        return Row(f"sockets.{shown}", median(ours), unit, ratio)
