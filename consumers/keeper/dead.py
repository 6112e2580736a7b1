"""What the keeper cannot fold goes to the dead letter stream: a description, and the bytes only if unreadable."""

from base64 import b64encode
from hashlib import sha256

import orjson

from consumers.keeper.fold import Inbound
from events.cursor import Cursor
from producers.publisher import Publisher

CONSUMER = "keeper"


async def publish_dead(publisher: Publisher, inbound: Inbound, reason: str, epoch: str) -> None:
    """Publish one dead letter; not waited for, the event itself is in `event_log` whatever becomes of this."""
    delivery, event = inbound.delivery, inbound.event
    letter = {
        "consumer": CONSUMER,
        "reason": reason,
        "deliveries": 1,
        "cursor": str(Cursor(epoch, delivery.seq)),
        "subject": delivery.subject,
        "sha256": sha256(delivery.body).hexdigest(),
        "event_id": event.id if event else None,
        "body": None if event else b64encode(delivery.body[:65_536]).decode(),
    }
    aggregate, name = [*delivery.subject.split("."), "unknown", "unknown"][2:4]
    future = await publisher.send_bytes(
        f"dlq.{CONSUMER}.{aggregate}.{name}",
        orjson.dumps(letter),
        f"dlq-{CONSUMER}-{epoch}-{delivery.seq}",
        content_type="application/json",
    )
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
