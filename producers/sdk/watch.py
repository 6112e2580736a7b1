"""One room, followed: a lost connection is picked up at the last event seen, so that each is told once and in order."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from producers.sdk.errors import TryAgainError
from producers.sdk.frames import Delta, Ended, Happening, Snapshot, Subscribed, Told
from producers.sdk.pauses import Pauses
from producers.sdk.transport import Transport

_MAX_SAID = 20_000
"""Executions whose words are remembered, those that said something last: a gateway knows no more to tell again."""


class Watch:
    """Iterate over it: `async for told in watch`. It ends with the room's task, or never.

    `cursor` is where the reading stands, to go on from later; None before the first word. `ready` is set as soon as
    what happens from then on will be told.
    """

    def __init__(
        self,
        transport: Transport,
        room: str,
        *,
        after: str | None = None,
        deltas: bool = False,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._transport = transport
        self._room = room
        self._deltas = deltas
        self._say = say
        self._said: OrderedDict[tuple[str, str], int] = OrderedDict()
        self.cursor = after
        self.ready = asyncio.Event()

    async def __aiter__(self) -> AsyncGenerator[Told]:
        """Every event from the cursor on. Raises RefusedError when the room is not the caller's to see."""
        pauses = Pauses()
        while True:
            try:
                async with aclosing(self._transport.frames(self._room, self.cursor)) as frames:
                    async for frame in frames:
                        pauses.reset()
                        if isinstance(frame, Ended):
                            return
                        if (told := self._took(frame)) is not None:
                            yield told
            except TryAgainError as error:
                pause = pauses.next(error.after)
                if self._say is not None and pause:
                    self._say(f"connection lost ({error.why}); trying again in {pause:.1f} s")
                await asyncio.sleep(pause)

    def _took(self, frame: Told | Subscribed) -> Told | None:
        match frame:
            case Subscribed(cursor):
                self.cursor = self.cursor or cursor
                self.ready.set()
                return None
            case Happening() | Snapshot():
                self.cursor = frame.cursor
                return frame
            case Delta():
                return self._heard(frame) if self._deltas else None

    def _heard(self, delta: Delta) -> Delta | None:
        """The part that is new: who comes back is told from the start what an agent has said so far."""
        execution = (delta.subject, delta.execution_id)
        known = self._said.get(execution, 0)
        new = delta.text[max(0, known - delta.offset) :]
        if not new:
            return None
        self._said[execution] = delta.offset + len(delta.text)
        self._said.move_to_end(execution)
        if len(self._said) > _MAX_SAID:
            self._said.popitem(last=False)
        return replace(delta, offset=max(known, delta.offset), text=new)
