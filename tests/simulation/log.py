"""The log as a list, and the durables that read it: as much of JetStream as anybody on the main path can tell."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from consumers.keeper.fold import Inbound
from events import Event, EventData
from events.codec import encode
from events.streams import Durable
from events.subjects import subject_of
from producers.reader import Delivery


@dataclass
class Log:
    """Everything that was published and not lost, in order; it has the simulation's clock and its dice."""

    at: datetime
    dice: Random
    epoch: str = "000000000001"
    kept: list[Inbound] = field(default_factory=list)
    tell: Callable[[str], None] | None = None
    """Is told what happens, to find out how something came about."""
    _ids: set[str] = field(default_factory=set)

    def note(self, what: str) -> None:
        """Tell whoever wants to know."""
        if self.tell is not None:
            self.tell(f"{self.at:%H:%M:%S.%f} {what}")

    def publish(self, event: Event[EventData]) -> None:
        """At the end of the log; a repeat is there twice, or the server's window has caught it."""
        if event.id in self._ids and self.dice.random() < 0.5:
            return
        self._ids.add(event.id)
        self.at += timedelta(milliseconds=1)
        stamp = int(self.at.timestamp() * 1_000_000) * 1_000
        delivery = Delivery(len(self.kept) + 1, stamp, subject_of(event), encode(event), None)
        self.kept.append(Inbound(delivery, event))
        self.note(f"log {delivery.seq}: {delivery.subject} {event.id[:8]} {event.data!r}")

    def after(self, seq: int, most: int) -> Sequence[Inbound]:
        """What comes behind a place."""
        return self.kept[seq : seq + most]

    def lose_end(self, left: int) -> None:
        """The store lost everything behind so many messages, as a power cut does; 0: it was wiped."""
        del self.kept[left:]
        self._ids = {item.event.id for item in self.kept if item.event is not None}

    @property
    def end(self) -> int:
        """The last sequence."""
        return len(self.kept)


class Feed:
    """What one durable has yet to deliver, has delivered, and has to deliver again."""

    def __init__(self, log: Log, durable: Durable) -> None:
        self.name = durable.name
        self.life = 0
        """Grows when the durable is made anew: what settles a message of before settles nothing."""
        self._log = log
        self._names = {tuple(one.split(".")[2:4]) for one in durable.filters}
        self._seen = 0
        self._floor = 0
        self._open: set[int] = set()
        self._back: list[int] = []

    def take(self, most: int) -> list[Inbound]:
        """Some of what has to be delivered again, in any order, before what is new."""
        dice = self._log.dice
        places = dice.sample(self._back, min(most, dice.randint(0, len(self._back))))
        self._back = [place for place in self._back if place not in places]
        while len(places) < most and self._seen < self._log.end:
            self._seen += 1
            if tuple(self._log.kept[self._seen - 1].delivery.subject.split(".")[2:4]) in self._names:
                places.append(self._seen)
                self._open.add(self._seen)
        return [self._log.kept[place - 1] for place in places]

    def settle(self, items: Iterable[Inbound]) -> None:
        """They are acknowledged, whoever was delivered them last."""
        for item in items:
            place = item.delivery.seq
            self._open.discard(place)
            self._floor = max(self._floor, place)
            if place in self._back:
                self._back.remove(place)

    def put_back(self, items: Iterable[Inbound]) -> None:
        """They come again: put back, or their process died or fell silent."""
        self._back += [
            i.delivery.seq for i in items if i.delivery.seq in self._open and i.delivery.seq not in self._back
        ]

    def begin_anew(self, common: int) -> None:
        """As `producers.topology.start_epoch` makes durables anew."""
        self._seen = min(self.floor, common)
        self._floor = self._seen
        self._open, self._back = set(), []
        self.life += 1

    @property
    def floor(self) -> int:
        """Up to where everything is acknowledged."""
        return min(self._open) - 1 if self._open else self._floor

    @property
    def has_more(self) -> bool:
        """Whether anything waits to be delivered."""
        new = self._log.kept[self._seen :]
        return bool(self._back) or any(tuple(one.delivery.subject.split(".")[2:4]) in self._names for one in new)
