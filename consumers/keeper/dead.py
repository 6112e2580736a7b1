"""What the keeper cannot fold goes to the dead letter stream; the event itself is in `event_log` whatever happens."""

from consumers.keeper.fold import Inbound
from events.cursor import Cursor
from events.letter import describe
from producers.letters import post
from producers.publisher import Publisher

CONSUMER = "keeper"


async def publish_dead(publisher: Publisher, inbound: Inbound, reason: str, epoch: str) -> None:
    """Publish one dead letter; not waited for."""
    delivery = inbound.delivery
    letter = describe(
        consumer=CONSUMER,
        reason=reason,
        deliveries=1,
        cursor=Cursor(epoch, delivery.seq),
        subject=delivery.subject,
        body=delivery.body,
        headers=delivery.headers,
        event=inbound.event,
    )
    future = await post(publisher, letter)
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
