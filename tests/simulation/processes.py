"""The processes around the keeper: each takes messages, says what follows, acknowledges, and may die in between."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random

from consumers.keeper.fold import Inbound
from events import Event, EventData, TaskChecked, TaskSubmitted
from events.errors import TransientError
from events.task import TaskUnchecked
from storage.live.store import Applied, Ask, LiveAgents, Op, RedisSettings
from tests.simulation.log import Feed, Log

Handler = Callable[[Sequence[Event[EventData]]], Awaitable[Sequence[Sequence[Event[EventData]]]]]


class DeathError(Exception):
    """The process was killed in the middle of its work."""


@dataclass
class Hand:
    """Messages in the hands of one process, and what it has yet to say because of them."""

    items: Sequence[Inbound]
    life: int
    to_say: deque[Event[EventData]]


class Pauses:
    """Where a process stands still in the middle of its work, while others go on with theirs."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self.reached = asyncio.Event()
        self._go = asyncio.Event()

    async def here(self) -> None:
        """Stand still, or not."""
        if self._dice.random() < 0.4:
            self._go.clear()
            self.reached.set()
            await self._go.wait()

    async def go_on(self, work: "asyncio.Task[Sequence[Sequence[Event[EventData]]]]") -> bool:
        """Let it work until it stands still again, or is done; whether it is done."""
        self.reached.clear()
        self._go.set()
        reached = asyncio.ensure_future(self.reached.wait())
        await asyncio.wait({work, reached}, return_when=asyncio.FIRST_COMPLETED)
        reached.cancel()
        return work.done()


class Reactor:
    """A consumer in flow mode, as consumers/_runtime.py runs it: all outputs, then all acknowledgements."""

    def __init__(self, log: Log, feed: Feed, handler: Handler, pauses: Pauses | None = None) -> None:
        self._log = log
        self.feed = feed
        self._handler = handler
        self._pauses = pauses or Pauses(log.dice)
        self._hand: Hand | None = None
        self._work: asyncio.Task[Sequence[Sequence[Event[EventData]]]] | None = None

    async def step(self) -> bool:
        """Take a batch, go on with it, say some of what follows, or acknowledge it; whether there was anything."""
        if self._hand is None:
            items = self.feed.take(self._log.dice.choice((1, 1, 2, 3, 8)))
            if not items:
                return False
            self._hand = Hand(items, self.feed.life, deque())
            self._work = asyncio.ensure_future(self._handler([one.event for one in items if one.event is not None]))
        if self._work is not None:
            await self._go_on(self._hand, self._work)
        else:
            self._say(self._hand)
        return True

    async def _go_on(self, hand: Hand, work: "asyncio.Task[Sequence[Sequence[Event[EventData]]]]") -> None:
        if not await self._pauses.go_on(work):
            return
        self._work = None
        try:
            hand.to_say.extend(event for given in await work for event in given)
        except TransientError:
            self.stall()
            self._hand = None

    def _say(self, hand: Hand) -> None:
        for _ in range(self._log.dice.randint(1, max(1, len(hand.to_say)))):
            if hand.to_say:
                self._log.publish(hand.to_say.popleft())
        if not hand.to_say:
            self._hand = None
            if hand.life == self.feed.life:
                self.feed.settle(hand.items)

    @property
    def has_to_say(self) -> bool:
        """Whether it may have decided what nobody has heard yet."""
        return self._hand is not None and (bool(self._hand.to_say) or self._work is not None)

    def stall(self) -> None:
        """It is silent for longer than ack_wait, and goes on: what it has is in other hands, too."""
        if self._hand is not None and self._hand.life == self.feed.life:
            self.feed.put_back(self._hand.items)

    def kill(self) -> None:
        """What it had not acknowledged comes again; what it had not said, it never says."""
        self.stall()
        self._hand = None
        if self._work is not None:
            self._work.cancel()
            self._work = None


class MortalLive(LiveAgents):
    """The live state; whoever asks may stand still, or die after so many answers, with what they have changed."""

    def __init__(self, settings: RedisSettings, pauses: Pauses) -> None:
        super().__init__(settings)
        self._pauses = pauses
        self.dies_after: int | None = None

    async def apply(self, ops: Sequence[Op], asks: Sequence[Ask] = (), *, builder: str = "") -> Applied:
        applied = await super().apply(ops, asks, builder=builder)
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after <= 0:
                raise DeathError
        if not builder:
            await self._pauses.here()
        return applied


async def screened(events: Sequence[Event[EventData]]) -> list[list[Event[EventData]]]:
    """The verdicts: most may pass, some are blocked, some must be asked for again; always the same for one event."""
    verdicts = []
    for event in events:
        assert isinstance(event.data, TaskSubmitted)
        drawn, data = Random(event.id).random(), event.data
        verdict: EventData = TaskChecked(
            task_id=data.task_id, decision="allow" if drawn > 0.05 else "block", rules_version="1"
        )
        if drawn > 0.95:
            verdict = TaskUnchecked(task_id=data.task_id, reason="away", retry_after=5)
        verdicts.append([event.caused(verdict, source="/consumers/reflex")])
    return verdicts
