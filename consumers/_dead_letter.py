"""What a consumer gives up on: the task is ended first, so no client waits for ever, then a dead letter is kept.

A letter describes the event (place, digest, reason); its bytes are in `event_log`, and here only if unreadable.
"""

from base64 import b64encode
from hashlib import sha256

import orjson
from nats.aio.msg import Msg

from events.base import Event, EventData
from events.task import TaskControl
from producers.publisher import Publisher

_BODY_KEPT = 65_536


class DeadLetters:
    """Buries messages of one consumer."""

    def __init__(self, publisher: Publisher, consumer: str) -> None:
        self._publisher = publisher
        self._consumer = consumer

    async def bury(self, message: Msg, event: Event[EventData] | None, reason: str) -> None:
        """Publish the end of the task and the letter, and wait until both are kept."""
        if event is not None and event.taskid is not None:
            control = TaskControl(
                task_id=event.taskid, action="fail", by=f"/consumers/{self._consumer}", reason="dead_lettered"
            )
            await self._publisher.publish(event.caused(control, source=f"/consumers/{self._consumer}"))
        meta = message.metadata
        tokens = [*message.subject.split("."), "unknown", "unknown"]
        letter = {
            "consumer": self._consumer,
            "reason": reason,
            "deliveries": meta.num_delivered,
            "stream_seq": meta.sequence.stream,
            "subject": message.subject,
            "sha256": sha256(message.data).hexdigest(),
            "event_id": event.id if event else None,
            "body": None if event else b64encode(message.data[:_BODY_KEPT]).decode(),
        }
        kept = await self._publisher.send_bytes(
            f"dlq.{self._consumer}.{tokens[2]}.{tokens[3]}",
            orjson.dumps(letter),
            f"dlq-{self._consumer}-{meta.stream}-{meta.sequence.stream}",
            content_type="application/json",
        )
        await kept
