"""A consumer that fails at more than half of what we ourselves sent it takes no more for a while, and says so.

Then something is wrong with the consumer or with what it depends on, and going on would only use up deliveries until
good work is dead-lettered. The durable is paused on the server, where readiness and every other process see it. What
comes from outside (and what the gateway passes on in users' words) never counts: it must not be a lever.
"""

import asyncio
from collections import OrderedDict
from datetime import UTC, datetime, timedelta

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from events.base import Event, EventData
from events.errors import BusUnavailableError, LogFullError, OutcomeUnknownError
from events.streams import Durable

log = structlog.get_logger()

LOOKED_AT = 50
PAUSES = (2.0, 10.0, 30.0)

_THE_BUS = (BusUnavailableError, OutcomeUnknownError, LogFullError, NatsError)
"""Nobody's fault, and nothing would be delivered meanwhile anyway."""


def is_ours(event: Event[EventData] | None) -> bool:
    """Whether one of our own processes made up the event; a re-send repeats what somebody else said."""
    return event is not None and event.resendof is None and event.source.startswith(("/keeper", "/consumers/"))


class Pause:
    """Counts how the last 50 messages of our own went; `due` when more than half of them failed.

    After a pause one message at a time is tried (`probing`), until one succeeds.
    """

    def __init__(self, client: Client, durable: Durable, *, pauses: tuple[float, ...] = PAUSES) -> None:
        self._client = client
        self._durable = durable
        self._pauses = pauses
        self._lately: OrderedDict[int, bool] = OrderedDict()
        self._in_a_row = 0
        self.due = False
        self.probing = False

    def note(self, seq: int, event: Event[EventData] | None, failure: Exception | None) -> None:
        """How the message at `seq` went this time."""
        if failure is None and not self._lately and not self.probing:
            return  # as nearly always
        if failure is None and self.probing:
            log.info("consumer_goes_on", consumer=self._durable.name)
            self.due, self.probing, self._in_a_row = False, False, 0
            self._lately.clear()
        elif is_ours(event) and not isinstance(failure, _THE_BUS):
            self._lately.pop(seq, None)
            self._lately[seq] = failure is not None
            if len(self._lately) > LOOKED_AT:
                self._lately.popitem(last=False)
            self.due = self.probing or sum(self._lately.values()) * 2 > LOOKED_AT

    async def hold(self) -> None:
        """Pause on the server and here, longer each time in a row; then probe."""
        seconds = self._pauses[min(self._in_a_row, len(self._pauses) - 1)]
        self._in_a_row += 1
        log.error("consumer_pauses", consumer=self._durable.name, seconds=seconds)
        until = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
        try:
            await self._client.jetstream().pause_consumer(self._durable.stream, self._durable.name, until)
        except (NatsError, TimeoutError, OSError) as error:
            log.warning("consumer_not_paused_on_the_server", consumer=self._durable.name, error=type(error).__name__)
        await asyncio.sleep(seconds)
        self.due, self.probing = False, True
