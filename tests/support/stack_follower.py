"""A subscriber that keeps its own record: what it saw, in order, over every interruption."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pydantic import JsonValue
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.support.eventually import eventually

_AGAIN_AFTER = 0.1
_TAIL = ("succeeded", "partial", "blocked", "cancelled", "skipped", "failed", "timed_out")


@dataclass(frozen=True, slots=True)
class Seen:
    """One event frame."""

    cursor: str
    event: str
    subject: str
    data: dict[str, JsonValue]

    @property
    def task_id(self) -> str:
        return str(self.data.get("task_id"))

    @property
    def is_final(self) -> bool:
        aggregate, _, name = self.event.partition(".")
        return aggregate == "task" and name in _TAIL


class Follower:
    """Follows one room of `/ws`; when the socket ends it comes back with `after` = its last cursor.

    `seen` holds every event frame, `control` every other frame about the subscription, `connections` how often it
    had to connect, `gaps` how many events were seen before each `gap`.
    """

    def __init__(self, gateway_url: str, token: str, room: str = "tasks", after: str | None = "0") -> None:
        self._url = gateway_url.replace("http", "ws", 1) + "/ws"
        self._token = token
        self._room = room
        self._after = after
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._may_connect = asyncio.Event()
        self._may_connect.set()
        self.seen: list[Seen] = []
        self.gaps: list[int] = []
        self.control: list[dict[str, JsonValue]] = []
        self.connections = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        await eventually(lambda: "subscribed" in self.kinds, within=20)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def kinds(self) -> list[str]:
        """The types of the control frames, in order."""
        return [str(frame["type"]) for frame in self.control]

    def of(self, task_id: str) -> list[Seen]:
        """What was seen of one task."""
        return [seen for seen in self.seen if seen.task_id == task_id]

    def names(self, task_id: str) -> list[str]:
        """The states that one task was seen to enter, and its request and verdict."""
        return [seen.event for seen in self.of(task_id) if seen.event.startswith("task.")]

    @property
    def ended(self) -> set[str]:
        """The tasks whose end was seen."""
        return {seen.task_id for seen in self.seen if seen.is_final}

    async def until_final(self, task_ids: set[str], within: float = 30.0) -> None:
        """Wait until the end of each task was seen."""

        def all_ended() -> bool:
            assert not task_ids - self.ended, f"{len(task_ids - self.ended)} unseen; {self}"
            return True

        await eventually(all_ended, within=within)

    def __str__(self) -> str:
        last = self.seen[-1].cursor if self.seen else None
        return f"{self.connections} connections, last event at {last}, told {self.control[-6:]}"

    @asynccontextmanager
    async def away(self) -> AsyncGenerator[None]:
        """Cut the connection, and come back only when the block ends."""
        self._may_connect.clear()
        await self.drop()
        try:
            yield
        finally:
            self._may_connect.set()

    async def drop(self) -> None:
        """Cut the connection as a bad network would; following goes on by itself."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def _follow(self) -> None:
        while True:
            await self._may_connect.wait()
            with contextlib.suppress(ConnectionClosed, InvalidHandshake, OSError, TimeoutError, EOFError):
                await self._connected()
            await asyncio.sleep(_AGAIN_AFTER)

    async def _connected(self) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        async with connect(self._url, additional_headers=headers, proxy=None, open_timeout=5) as socket:
            self._socket = socket
            self.connections += 1
            wanted = {"type": "subscribe", "id": "all", "room": self._room}
            await socket.send(json.dumps(wanted if self._after is None else {**wanted, "after": self._after}))
            async for text in socket:
                frame = json.loads(text)
                self._note(frame)
                if frame["type"] == "error":  # the database is away, say: come back a little later
                    return

    def _note(self, frame: dict[str, JsonValue]) -> None:
        data = frame.get("data")
        if frame["type"] == "event" and isinstance(data, dict):
            self._after = str(frame["cursor"])
            self.seen.append(Seen(self._after, str(frame["event"]), str(frame["subject"]), data))
        elif frame["type"] not in {"hello", "ping"}:
            if frame["type"] == "gap":
                self.gaps.append(len(self.seen))
            if frame["type"] == "snapshot":
                self._after = str(frame["cursor"])
            self.control.append(frame)
