"""What one subscriber saw, in its own words: events by cursor, gaps, and how the speech it heard fits together."""

from dataclasses import dataclass, field

from pydantic import JsonValue

Frame = dict[str, JsonValue]


@dataclass
class Record:
    """The life of one subscription over all its connections. `pieces` are stretches between announced gaps."""

    owner: str
    room: str
    after: str = "0"
    pieces: list[list[tuple[str, str]]] = field(default_factory=lambda: [[]])
    gaps: list[tuple[str, str]] = field(default_factory=list)
    connections: int = 0
    ended: bool = False
    torn_speech: int = 0
    pieces_heard: int = 0
    _said: dict[str, int] = field(default_factory=dict)

    def connected(self) -> None:
        """A new connection: speech begins again at 0."""
        self.connections += 1
        self._said.clear()

    def take(self, frame: Frame) -> None:
        """Note a frame of /ws, or the same from a stream."""
        kind = frame["type"]
        if kind == "event":
            self.after = str(frame["cursor"])
            self.pieces[-1].append((self.after, str(frame["event"])))
        elif kind == "gap":
            self.gaps.append((str(frame["from"]), str(frame["to"])))
        elif kind == "snapshot":
            self.after = str(frame["cursor"])
            self.pieces.append([])
        elif kind == "end":
            self.ended = True
        elif kind == "delta":
            self._hear(frame["data"])

    def _hear(self, data: JsonValue) -> None:
        assert isinstance(data, dict)
        execution, offset, text = str(data["execution_id"]), data["offset"], str(data["text"])
        self.pieces_heard += 1
        if offset != self._said.get(execution, 0):
            self.torn_speech += 1
        assert isinstance(offset, int)
        self._said[execution] = offset + len(text)

    @property
    def seen(self) -> int:
        """How many events."""
        return sum(len(piece) for piece in self.pieces)
