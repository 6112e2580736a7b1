"""Time slices: what many consumers of one process do in one go, each after the others have had their chance.

All consumers of a process share its event loop. A portion of quick work takes some milliseconds of it, and the keeper,
for whom every sender waits, comes back from each of its waits (for messages, for Postgres, for what it writes) only
between two of them. With one portion after the other, 22 of the 29 ms of a commit under load were such waits.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_ROUNDS = 16
"""About as many rounds of the event loop as it takes from bytes on a socket to bytes on another one, and some more."""
_AT_MOST = 0.05
"""Seconds that slices are held back: whoever holds them and gets stuck stops nobody."""


def _nobody() -> bool:
    return False


class TimeSlices:
    """Gives one slice at a time, and `rounds` rounds of the event loop between two for all that is ready by then.

    One consumer, the keeper, may go before the others: while a crowd waits for it, and while it deals with one.
    """

    def __init__(self, rounds: int = _ROUNDS) -> None:
        self._rounds = rounds
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._resting = False
        self._held: asyncio.TimerHandle | None = None
        self._crowd: Callable[[], bool] = _nobody
        self._overdue = False

    async def next(self) -> None:
        """Wait for a slice, in the order of the calls; it lasts until the caller awaits something."""
        if not self._resting and self._held is None and not self._yields():
            self._rest(self._rounds)
            return
        given: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(given)
        await given

    @contextmanager
    def before(self, crowd: Callable[[], bool]) -> Iterator[None]:
        """Go first: as long as the block lasts, slices are held back while there is a crowd (see `held`)."""
        self._crowd = crowd
        try:
            yield
        finally:
            self._crowd = _nobody
            self._let_go()

    @contextmanager
    def held(self, *, at_once: bool) -> Iterator[None]:
        """Hold slices back until the block ends, at once or from when a crowd waits, and for 50 ms at most.

        Only who goes first may do so. A slice is given when the block ends, whoever waits.
        """
        if at_once:
            self._hold()
        try:
            yield
        finally:
            self._overdue = True
            self._let_go()
            self._overdue = False

    def _hold(self) -> None:
        if self._held is None:
            self._held = asyncio.get_running_loop().call_later(_AT_MOST, self._tire)

    def _tire(self) -> None:
        self._overdue = True
        self._let_go()

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.cancel()
            self._held = None
            if not self._resting:
                self._rest(0)

    def _yields(self) -> bool:
        """Whether a crowd is let pass now."""
        if self._overdue or not self._crowd():
            return False
        self._hold()
        return True

    def _rest(self, rounds: int) -> None:
        self._resting = rounds > 0 or (self._held is None and self._give())
        if self._resting:
            asyncio.get_running_loop().call_soon(self._rest, rounds - 1 if rounds > 0 else self._rounds)

    def _give(self) -> bool:
        """Whether somebody still waited for the next one, and may have it."""
        if self._waiting and self._yields():
            return False
        while self._waiting:
            given = self._waiting.popleft()
            if not given.done():
                given.set_result(None)
                return True
        return False
