"""Which tasks have ended, as a subscriber of the room `tasks` learns it."""

import asyncio
import re
from time import perf_counter
from typing import Self

import orjson

from bench.socket import SocketListener
from events import FINAL

# Most frames announce steps on the way: they are told apart without parsing them.
_END = re.compile(rb'"event":\s?"task\.(%s)"' % "|".join(sorted(FINAL)).encode())
_REFUSED = re.compile(rb'"type":\s?"(error|gap)"')


class SubscriptionError(Exception):
    """The gateway refused the subscription, or a gap opened in it: what was counted cannot be trusted."""


class Completions:
    """Terminal states by task id; `async with Completions(host, port, token) as completions`."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._address = (host, port, token)
        self._ended: dict[str, tuple[str, float]] = {}
        self._waiting: dict[str, asyncio.Future[float]] = {}
        self._subscribed = asyncio.Event()
        self._refusal: str | None = None
        self._listener: SocketListener | None = None
        self.frames = 0

    async def __aenter__(self) -> Self:
        self._listener = await SocketListener.open(*self._address, self._on_frame)
        self._listener.send(orjson.dumps({"type": "subscribe", "id": "bench", "room": "tasks"}))
        async with asyncio.timeout(10):
            await self._subscribed.wait()
        self._raise_refusal()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listener is not None:
            self._listener.close()

    async def of(self, task_id: str) -> float:
        """When (`perf_counter`) the end of this task was seen here; waits for it."""
        self._raise_refusal()
        ended = self._ended.get(task_id)
        if ended is not None:
            return ended[1]
        future = self._waiting.setdefault(task_id, asyncio.get_running_loop().create_future())
        return await future

    def statuses(self, task_ids: list[str]) -> dict[str, int]:
        """How many of these tasks ended in which status; `open` for those that have not."""
        counts: dict[str, int] = {}
        for task_id in task_ids:
            status = self._ended.get(task_id, ("open", 0.0))[0]
            counts[status] = counts.get(status, 0) + 1
        return counts

    def _on_frame(self, frame: bytes) -> None:
        self.frames += 1
        found = _END.search(frame)
        if found is not None:
            seen = perf_counter()
            task_id = orjson.loads(frame)["subject"]
            self._ended[task_id] = (found[1].decode(), seen)
            waiting = self._waiting.pop(task_id, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(seen)
        elif b'"subscribed"' in frame:
            self._subscribed.set()
        elif _REFUSED.search(frame):
            self._refuse(frame.decode())

    def _refuse(self, why: str) -> None:
        self._refusal = why
        self._subscribed.set()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(SubscriptionError(why))
        self._waiting.clear()

    def _raise_refusal(self) -> None:
        if self._refusal is not None:
            raise SubscriptionError(self._refusal)
