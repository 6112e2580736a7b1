"""Whether the tables say of the present what the log says of it: who folds late must not take the living for silent.

After an absence signs of life lie unread in the log for as long as reading what came before them takes.
"""

import time
from dataclasses import dataclass

from nats.aio.client import Client
from nats.js.errors import NotFoundError

from events.streams import BUS


@dataclass(slots=True)
class Level:
    """Looks where the log ends, once a call, and remembers when all that it held had been committed.

    `late` is how many seconds the tables may be behind: little beside what anybody is given to show a sign of life.
    """

    client: Client
    late: float
    _mark: int = 0
    _marked_at: float = float("-inf")
    _level_at: float = float("-inf")

    async def reached(self, committed: int) -> bool:
        """Whether everything is committed that the log held `late` seconds ago, or less."""
        now, end = time.monotonic(), await self._end()
        if committed >= end:
            self._level_at = now
        elif committed >= self._mark:
            self._level_at = self._marked_at
            self._mark, self._marked_at = end, now
        return now - self._level_at <= self.late

    async def _end(self) -> int:
        """The last message that is there: what was deleted behind it would be waited for."""
        try:
            return (await self.client.jetstream().get_last_msg(BUS.name, ">")).seq or 0
        except NotFoundError:
            return 0
