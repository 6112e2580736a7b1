"""Messages that were delivered again and again are run one at a time, so that each is judged by its own doing.

When a message kills its process, all that the process had in hand is delivered once more, and after ten deaths ten
times: innocent neighbours would be buried with the culprit. Run alone in alternating order, first up and next time
down the log, every neighbour is done before the culprit's turn within two lives of the process.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from producers.cancellation import heed_cancellation

log = structlog.get_logger()

SUSPECT_FROM = 3
_GATHER = 0.1


def deliveries_of(message: Msg) -> int:
    """How often the server has delivered it, this time included."""
    return int(message.reply.rsplit(".", 5)[1])


def place_of(message: Msg) -> int:
    """Its sequence in the stream."""
    return int(message.reply.rsplit(".", 4)[1])


class Suspects:
    """Runs what it is given, one message at a time; `run()` until cancelled."""

    def __init__(self, work: Callable[[Msg], Awaitable[None]]) -> None:
        self._work = work
        self._waiting: list[Msg] = []
        self._bell = asyncio.Event()
        self._turn = asyncio.Lock()

    def add(self, message: Msg) -> None:
        """One more."""
        self._waiting.append(message)
        self._bell.set()

    async def stop(self) -> list[Msg]:
        """Take back what was not begun, and wait for the one that was."""
        taken, self._waiting = self._waiting, []
        async with self._turn:
            return taken

    async def run(self) -> None:
        """Wait a little for company before the first, so that the order is one of all that are there."""
        while True:
            await self._bell.wait()
            await asyncio.sleep(_GATHER)
            while self._waiting:
                async with self._turn:
                    await self._run(self._next())
            self._bell.clear()

    async def _run(self, message: Msg) -> None:
        """Whatever it ends with, the next one has its turn: it is not settled, and delivered again."""
        try:
            await self._work(message)
        except NatsError as error:  # the connection went away
            log.warning("suspect_left", subject=message.subject, error=type(error).__name__)
        except asyncio.CancelledError:
            heed_cancellation()
            log.exception("suspect_left", subject=message.subject)  # what it waited for was cancelled, not we
        except Exception:
            log.exception("suspect_left", subject=message.subject)

    def _next(self) -> Msg:
        """The lowest of what was delivered an odd number of times, else the highest."""
        odd = [message for message in self._waiting if deliveries_of(message) % 2]
        chosen = min(odd, key=place_of) if odd else max(self._waiting, key=place_of)
        self._waiting.remove(chosen)
        return chosen
