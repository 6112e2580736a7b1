"""What slow work says within two milliseconds leaves together, and so is one batch and one commit for the keeper."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from events.base import Event, EventData
from producers.publisher import Ack

_FOR = 0.002


class Sends(Protocol):
    """What publishes several events in order."""

    async def send_all(self, events: Sequence[Event[EventData]]) -> list[asyncio.Future[Ack]]:
        """Write them; one acknowledgement each."""


class Gathering:
    """Sends events in the order given, a moment later or when it ends. What fails is raised by the next call."""

    def __init__(self, publisher: Sends) -> None:
        self._publisher = publisher
        self._waiting: list[Event[EventData]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._acks: list[asyncio.Future[Ack]] = []
        self.count = 0

    async def add(self, event: Event[EventData]) -> None:
        """One more event. Raises what sending the ones before it has raised."""
        if self._sending is not None:
            await self._sending
        self._waiting.append(event)
        self.count += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FOR, self._begin)

    async def end(self) -> list[asyncio.Future[Ack]]:
        """Send what is left; the acknowledgements of all that was sent, in order."""
        self.stop()
        if self._sending is not None:
            await self._sending
        await self._send()
        return self._acks

    def stop(self) -> None:
        """Begin to send nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        self._timer = None
        self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        sent, self._waiting = self._waiting, []
        self._acks += await self._publisher.send_all(sent)
