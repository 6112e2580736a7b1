"""Conversations: ten thousand opened, one grown long and read again, and what all that leaves in the gateway.

The offline agent answers, so that what is measured is ours: a turn from its POST to the stored answer.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from time import perf_counter

import orjson

from bench.figures import Row, percentile
from bench.http import Answer, HttpConnection
from bench.processes import cpu_seconds, rss_mib
from bench.stack import Stack

OPEN = 10_000
"""Conversations that are open at a time (requirements 003, SC-009)."""
IN_FLIGHT = 64
MESSAGES = 120
READS = 2_000
_WARM = 2_000
_AGAIN = 2
_OWNER = "bench"


class Conversations:
    """The figures of one run on one stack."""

    def __init__(self) -> None:
        self._turns: list[float] = []
        self._alone: list[float] = []
        self._long: list[float] = []
        self._any: list[float] = []
        self._rate = 0.0
        self._cpu: dict[str, float] = {}
        self._grown: list[float] = []
        self._refused: dict[int, int] = {}

    async def measure(self, stack: Stack) -> None:
        """Open them all, hold a long one, read it and all others; then open as many again."""
        talk = _Talk(stack)
        await talk.open(_WARM)
        memory = [rss_mib(stack.pids())["gateway"]]
        began, used = perf_counter(), cpu_seconds(stack.pids())
        ids = await talk.open(OPEN)
        self._rate = len(ids) / (perf_counter() - began)
        self._cpu = {name: (now - used[name]) / OPEN * 1e6 for name, now in cpu_seconds(stack.pids()).items()}
        self._turns = talk.take()
        conversation = await talk.grow(MESSAGES // 2)
        self._alone = talk.take()
        await talk.read([conversation], READS)
        self._long = talk.take()
        await talk.read(ids, READS)
        self._any = talk.take()
        memory.append(rss_mib(stack.pids())["gateway"])
        for _ in range(_AGAIN):
            await talk.open(OPEN)
            memory.append(rss_mib(stack.pids())["gateway"])
        self._grown = [after - before for before, after in pairwise(memory)]
        self._refused = talk.refused

    def rows(self) -> list[Row]:
        """Rates and latencies; the memory is the gateway's, by each 10,000 conversations after the first 2,000.

        Its memories hold the latest 20,000 tasks at most: they fill once, and the last row shows what is left.
        """
        if not self._turns:
            return []
        return [
            Row("chat.turns_per_s", self._rate, "/s"),
            Row(f"chat.turn_p50_ms.{IN_FLIGHT}", percentile(self._turns, 0.5) * 1e3, "ms"),
            Row(f"chat.turn_p95_ms.{IN_FLIGHT}", percentile(self._turns, 0.95) * 1e3, "ms"),
            Row("chat.turn_p50_ms.1", percentile(self._alone, 0.5) * 1e3, "ms"),
            Row("chat.turn_p95_ms.1", percentile(self._alone, 0.95) * 1e3, "ms"),
            Row(f"chat.history_p50_ms.{MESSAGES}_messages", percentile(self._long, 0.5) * 1e3, "ms"),
            Row(f"chat.history_p95_ms.{MESSAGES}_messages", percentile(self._long, 0.95) * 1e3, "ms"),
            Row(f"chat.history_p95_ms.any_of_{OPEN}", percentile(self._any, 0.95) * 1e3, "ms"),
            *(
                Row(f"chat.gateway_growth_mib.{number * OPEN}", grown, "MiB")
                for number, grown in enumerate(self._grown, 1)
            ),
            *(Row(f"chat.answered_{status}", count, "answers") for status, count in sorted(self._refused.items())),
            *(Row(f"chat.cpu_us.{name}", used, "us/turn") for name, used in sorted(self._cpu.items())),
        ]


class _Talk:
    """A client on bare connections; it keeps the seconds of each answer until they are taken."""

    def __init__(self, stack: Stack) -> None:
        self._host, self._port = stack.host, stack.port
        self._head = f"HTTP/1.1\r\nHost: {stack.host}\r\nAuthorization: Bearer {stack.token_of(_OWNER)}\r\n"
        self._seconds: list[float] = []
        self.refused: dict[int, int] = {}

    def take(self) -> list[float]:
        """The seconds so far; the next are counted anew."""
        seconds, self._seconds = self._seconds, []
        return seconds

    async def open(self, count: int) -> list[str]:
        """So many conversations of one turn each, 64 in flight; their ids."""
        numbers = iter(range(count))
        found: list[str] = []

        async def keep_opening(connection: HttpConnection) -> None:
            for number in numbers:
                answer = await connection.request(self._say(f"My ticket has the number {number}."))
                found.extend(self._noted(answer))

        async with self._connections(IN_FLIGHT) as opened:
            await asyncio.gather(*map(keep_opening, opened))
        return found

    async def grow(self, turns: int) -> str:
        """One conversation, turn after turn; its id."""
        conversation: str | None = None
        async with self._connections(1) as (connection,):
            for number in range(turns):
                said = f"Point {number}: the pump at station {number} was checked." if number % 2 else "Which pump?"
                answer = await connection.request(self._say(said, conversation))
                conversation = next(iter(self._noted(answer)), conversation)
        return str(conversation)

    async def read(self, ids: list[str], count: int) -> None:
        """Histories, 8 in flight."""
        wanted: Iterator[str] = itertools.islice(itertools.cycle(ids), count)

        async def keep_reading(connection: HttpConnection) -> None:
            for conversation in wanted:
                path = f"/api/{_OWNER}/conversations/{conversation}/history"
                self._noted(await connection.request(f"GET {path} {self._head}\r\n".encode()))

        async with self._connections(8) as opened:
            await asyncio.gather(*map(keep_reading, opened))

    def _noted(self, answer: Answer) -> list[str]:
        if answer.status != 200:
            self.refused[answer.status] = self.refused.get(answer.status, 0) + 1
            return []
        self._seconds.append(answer.seconds)
        return [str(orjson.loads(answer.body)["conversation_id"])]

    def _say(self, message: str, conversation: str | None = None) -> bytes:
        body = orjson.dumps({"message": message, "conversation_id": conversation})
        head = (
            f"POST /api/{_OWNER}/chat {self._head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    @asynccontextmanager
    async def _connections(self, count: int) -> AsyncGenerator[list[HttpConnection]]:
        opened = await asyncio.gather(*(HttpConnection.open(self._host, self._port) for _ in range(count)))
        try:
            yield opened
        finally:
            for connection in opened:
                connection.close()
