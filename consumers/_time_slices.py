"""Time slices: what many consumers of one process do in one go, each after the others have had their chance.

All consumers of a process share its event loop. A portion of quick work takes some milliseconds of it, and the keeper,
for whom every sender waits, comes back from each of its waits (for messages, for Postgres, for what it writes) only
between two of them. With one portion after the other, 22 of the 29 ms of a commit under load were such waits.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_ROUNDS = 16
"""About as many rounds of the event loop as it takes from bytes on a socket to bytes on another one, and some more."""
_AT_MOST = 0.05
"""Seconds that slices are held back: whoever holds them and gets stuck stops nobody."""


class TimeSlices:
    """Gives one slice at a time, and `rounds` rounds of the event loop between two for all that is ready by then."""

    def __init__(self, rounds: int = _ROUNDS) -> None:
        self._rounds = rounds
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._resting = False
        self._held: asyncio.TimerHandle | None = None

    async def next(self) -> None:
        """Wait for a slice, in the order of the calls; it lasts until the caller awaits something."""
        if not self._resting and self._held is None:
            self._rest(self._rounds)
            return
        given: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(given)
        await given

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold slices back as long as the block lasts, and 50 ms at most; one at a time may do so."""
        self._held = asyncio.get_running_loop().call_later(_AT_MOST, self._let_go)
        try:
            yield
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.cancel()
            self._held = None
            if not self._resting:
                self._rest(0)

    def _rest(self, rounds: int) -> None:
        self._resting = rounds > 0 or (self._held is None and self._give())
        if self._resting:
            asyncio.get_running_loop().call_soon(self._rest, rounds - 1 if rounds > 0 else self._rounds)

    def _give(self) -> bool:
        """Whether somebody still waited for the next one."""
        while self._waiting:
            given = self._waiting.popleft()
            if not given.done():
                given.set_result(None)
                return True
        return False
