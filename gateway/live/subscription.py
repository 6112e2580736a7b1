"""One subscription to a room: it is live, or behind and catching up, and either way in one order and once each."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Protocol

from events.cursor import Cursor
from gateway.live.frames import Frame
from gateway.live.outlet import Outlet
from gateway.live.rooms import Room
from gateway.live.speech import Saying

Fields = dict[str, object]

MAX_LAG = 1024 * 1024
"""Bytes of events that a live reader may be behind before it is sent away with its resume point."""

LARGE = 128 * 1024
"""Bytes of an event that is not written to all its live readers in one go: others would wait for that."""

_MAX_HEARD = 256
_MAX_SEEN = 8


class Encoding(Protocol):
    """How frames look on the wire; None (or no bytes) for what this wire does not show."""

    def event(self, frame: Frame) -> bytes | None:
        """An event at its place."""

    def delta(self, saying: Saying, offset: int, text: str) -> bytes | None:
        """What an agent has said from `offset` on."""

    def control(self, kind: str, fields: Fields) -> bytes | None:
        """A frame that is neither: subscribed, gap, snapshot, end, error."""


class Subscription:
    """Receives the frames of one room and writes them to an outlet.

    While it is `behind` nothing is kept for it: `sent` says where to go on, and `on_behind` sees to it.
    """

    __slots__ = (
        *("_encoding", "_end_said", "_heard", "_lag", "_outlet", "deltas", "on_behind", "room"),
        *("_seen", "_since", "sent", "state", "task_ended"),
    )

    def __init__(self, room: Room, outlet: Outlet, encoding: Encoding, *, deltas: bool = True) -> None:
        self.room = room
        self.state: Literal["behind", "live", "over"] = "behind"
        self.sent = Cursor("", 0)
        self._since = Cursor("", 0)
        self._seen: tuple[tuple[Cursor, Cursor], ...] = ()
        self.deltas = deltas and room.has_deltas
        self.task_ended = False
        self.on_behind: Callable[[Subscription], None] = lambda _: None
        self._outlet = outlet
        self._encoding = encoding
        self._end_said = False
        self._lag: int | None = None
        self._heard: dict[str, int] = {}

    @property
    def blocked(self) -> bool:
        """Whether the reader is behind; a closed connection never is."""
        return self._outlet.blocked and self._outlet.closing is None

    def deliver(self, frame: Frame) -> None:
        """Take a frame from the live stream, or leave it for catching up: the reader is behind, or it is large."""
        if self.state == "live":
            if frame.size <= LARGE and not self._outlet.blocked:
                self.write(frame)
                return
            self._lag = 0
            self.fall_behind()
        if self._lag is not None:
            self._lag += frame.size
            if self._lag > MAX_LAG and self._outlet.blocked:
                self._outlet.close(4408, "")

    def write(self, frame: Frame) -> None:
        """Send a frame; it follows `sent`."""
        self.sent = frame.cursor
        data = self._encoded(frame)
        if data:
            self._outlet.put(data, frame.cursor)
        if frame.is_state:
            self._note_state(frame)

    def write_all(self, frames: Sequence[Frame]) -> None:
        """Send frames that follow `sent`, as one piece: what a reader missed costs a system call and not one each."""
        encoded = [data for frame in frames if (data := self._encoded(frame))]
        self.sent = frames[-1].cursor
        if encoded:
            self._outlet.put(b"".join(encoded), self.sent)
        if self._lag is not None:
            self._lag -= sum(frame.size for frame in frames)
        for frame in frames:
            if frame.is_state:
                self._note_state(frame)

    def _encoded(self, frame: Frame) -> bytes | None:
        """Nothing for what it saw before a gap."""
        return None if frame.was and self._saw(frame.was) else self._encoding.event(frame)

    def _saw(self, places: Sequence[Cursor]) -> bool:
        return any(
            since < place <= until and place.epoch == until.epoch for place in places for since, until in self._seen
        )

    def _note_state(self, frame: Frame) -> None:
        if self.room.kind != "task":
            return
        self.task_ended = frame.is_final
        if not frame.is_final:
            self._end_said = False
        elif self.state == "live":
            self._say_end()

    def hear(self, execution: str, saying: Saying) -> None:
        """Send what an agent said since this reader last heard it; a slow reader gets it in one piece, later."""
        if self.state != "live" or not self.deltas or self._end_said:
            return
        while saying.end > self._heard.get(execution, 0):
            if self._outlet.blocked:
                self._lag = 0
                self.fall_behind()
                return
            offset, text = saying.since(self._heard.get(execution, 0))
            self._heard[execution] = offset + len(text)
            if len(self._heard) > _MAX_HEARD:
                del self._heard[next(iter(self._heard))]
            data = self._encoding.delta(saying, offset, text)
            if data:
                self._outlet.put(data)

    def say(self, kind: str, fields: Fields, *, cursor: Cursor | None = None) -> None:
        """Send a frame that is not an event; `cursor` is where a reader that has seen it may resume."""
        data = self._encoding.control(kind, fields)
        if data:
            self._outlet.put(data, cursor)

    async def room_to_write(self) -> None:
        """Wait until the reader has taken what was written."""
        await self._outlet.room()

    def fall_behind(self) -> None:
        """The live stream goes on without it."""
        if self.state == "live":
            self.state = "behind"
            self.on_behind(self)

    def go_live(self, said: Iterable[tuple[str, Saying]]) -> None:
        """Everything up to the hub's position was sent: what was said so far, then what comes."""
        if self.state == "over":
            return
        self.state = "live"
        self._lag = None
        for execution, saying in said:
            self.hear(execution, saying)
        if self.task_ended:
            self._say_end()

    def begin(self, place: Cursor) -> None:
        """What follows this place comes next: the first, or one behind a gap that it was told of."""
        self._seen = (*self._seen, (self._since, self.sent))[-_MAX_SEEN:]
        self._since = self.sent = place

    def skipped(self, place: Cursor) -> None:
        """Nothing of this room lies between `sent` and here."""
        self.sent = place

    def stop(self) -> None:
        """Take and send nothing more."""
        self.state = "over"

    def _say_end(self) -> None:
        if not self._end_said:
            self._end_said = True
            self.say("end", {})
