"""One subscription to a room: what the live stream brings, what a replay brings, in one order and once each."""

from collections import deque
from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

from events.cursor import Cursor
from gateway.frames import Frame
from gateway.outlet import LIMIT, Outlet

Fields = dict[str, object]


class Encoding(Protocol):
    """How frames look on the wire: WebSocket JSON or server-sent events."""

    def event(self, frame: Frame) -> tuple[str, str]:
        """Head and tail of an event frame; the tail may be shared."""
        ...

    def control(self, kind: str, fields: Fields) -> str:
        """A frame that is not an event: subscribed, gap, snapshot, end, error."""
        ...


@dataclass(frozen=True, slots=True)
class Room:
    """Whose events: of one task, of one owner, or of a tenant. `key` is what the hub indexes."""

    tenant: str
    owner: str | None = None
    task_id: UUID | None = None

    @property
    def key(self) -> str:
        """A text that no two rooms share: names hold no colon."""
        return f"{self.tenant}:{self.owner or ''}:{self.task_id or ''}"


class Subscription:
    """Receives frames of one room and writes them to an outlet.

    While it is `behind` (a replay or a snapshot is on its way) live frames wait in a bounded buffer.
    """

    def __init__(self, room: Room, outlet: Outlet, encoding: Encoding) -> None:
        self.room = room
        self.state: Literal["behind", "live", "over"] = "behind"
        self.sent = Cursor("", 0)
        self.task_ended = False
        self._outlet = outlet
        self._encoding = encoding
        self._buffer: deque[Frame] = deque()
        self._buffered = 0

    def deliver(self, frame: Frame) -> None:
        """Take a frame from the live stream."""
        if self.state == "live":
            self.write(frame)
        elif self.state == "behind":
            self._buffer.append(frame)
            self._buffered += frame.size
            if self._buffered > LIMIT:
                self._outlet.close(4408, "")
                self.state = "over"

    def write(self, frame: Frame) -> None:
        """Send a frame, unless it or a later one was sent before."""
        if frame.cursor <= self.sent:
            return
        self.sent = frame.cursor
        head, tail = self._encoding.event(frame)
        self._outlet.put(head, tail, size=frame.size, cursor=str(frame.cursor))
        if self.room.task_id is not None and frame.envelope.is_state:
            self.task_ended = frame.envelope.is_final
            if self.task_ended and self.state == "live":
                self.say("end", {})

    def say(self, kind: str, fields: Fields, *, cursor: Cursor | None = None) -> None:
        """Send a frame that is not an event; `cursor` is where a reader that has seen it may resume."""
        self._outlet.put(self._encoding.control(kind, fields), cursor=str(cursor) if cursor else None)

    async def room_to_write(self) -> None:
        """Wait until the connection has taken most of what was written."""
        await self._outlet.room()

    def fall_behind(self) -> None:
        """The live stream broke: what is buffered belongs to it and is forgotten."""
        if self.state != "over":
            self.state = "behind"
            self._buffer.clear()
            self._buffered = 0

    async def catch_up(self, *, ended: bool) -> None:
        """The replay is through: send what was buffered meanwhile, then go live; `end` if the task is over."""
        while self._buffer:
            await self._outlet.room()
            frame = self._buffer.popleft()
            self._buffered -= frame.size
            self.write(frame)
        if self.state == "over":
            return
        self.state = "live"
        if self.room.task_id is not None and (self.task_ended or ended):
            self.task_ended = True
            self.say("end", {})

    def stop(self) -> None:
        """Take and send nothing more."""
        self.state = "over"
        self._buffer.clear()
