"""What a consumer gives up on: the task is ended first, so no client waits for ever, then a dead letter is kept."""

from collections.abc import Mapping

from nats.aio.client import Client
from nats.errors import Error as NatsError

from events.base import Event, EventData
from events.cursor import Cursor
from events.errors import BusUnavailableError
from events.letter import describe
from events.task import TaskControl
from producers.letters import post
from producers.publisher import Publisher
from producers.topology import epoch_of

REASON = "dead_lettered"


class DeadLetters:
    """Buries what the named consumer could not deal with."""

    def __init__(self, client: Client, publisher: Publisher, consumer: str) -> None:
        self._client = client
        self._publisher = publisher
        self._consumer = consumer

    async def bury(
        self,
        *,
        subject: str,
        body: bytes,
        headers: Mapping[str, str] | None,
        event: Event[EventData] | None,
        seq: int,
        deliveries: int,
        reason: str,
    ) -> None:
        """Publish the end of the task and the letter, and wait until both are kept. A repeat changes nothing."""
        letter = describe(
            consumer=self._consumer,
            reason=reason,
            deliveries=deliveries,
            cursor=Cursor(await self._epoch(), seq),
            subject=subject,
            body=body,
            headers=headers,
            event=event,
        )
        if event is not None and event.taskid is not None:
            source = f"/consumers/{self._consumer}"
            control = TaskControl(task_id=event.taskid, action="fail", by=source, reason=REASON)
            # Of this letter, not of the event: one that was replayed may have to be given up again.
            await self._publisher.publish(event.caused(control, source=source, seed=letter.identity))
        await (await post(self._publisher, letter))

    async def _epoch(self) -> str:
        try:
            return await epoch_of(self._client)
        except (NatsError, TimeoutError, OSError) as error:
            raise BusUnavailableError from error
