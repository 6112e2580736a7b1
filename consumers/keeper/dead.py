"""What the keeper cannot fold goes to the dead letter stream; the event itself is in `event_log` whatever happens."""

import asyncio
from collections.abc import Sequence

import structlog

from consumers.keeper.fold import Inbound
from events.cursor import Cursor
from events.errors import BusUnavailableError, GanglionError, PermanentError
from events.letter import DeadLetter, describe
from producers.letters import post
from producers.publisher import Ack, Publisher

log = structlog.get_logger()

CONSUMER = "keeper"
_TRIES = 2


async def bury(publisher: Publisher, dead: Sequence[tuple[Inbound, str]], epoch: str) -> None:
    """Have a letter kept of each, with the reason given; the same letters again change nothing.

    Raises BusUnavailableError. A stream that takes no letters, though the bus is there, holds up nothing.
    """
    left = [_letter(inbound, reason, epoch) for inbound, reason in dead]
    for _ in range(_TRIES):
        sent = [(letter, await _sent(publisher, letter)) for letter in left]
        left = [letter for letter, future in sent if not await _is_kept(future)]
        if not left:
            return
    log.error("letters_not_kept", letters=len(left))


async def _sent(publisher: Publisher, letter: DeadLetter) -> asyncio.Future[Ack] | None:
    """Its acknowledgement; None if it cannot be written at all."""
    try:
        return await post(publisher, letter)
    except PermanentError:
        return None


async def _is_kept(future: asyncio.Future[Ack] | None) -> bool:
    try:
        return future is not None and bool(await future)
    except BusUnavailableError:
        raise
    except GanglionError:
        return False


def _letter(inbound: Inbound, reason: str, epoch: str) -> DeadLetter:
    delivery = inbound.delivery
    return describe(
        consumer=CONSUMER,
        reason=reason,
        deliveries=1,
        cursor=Cursor(epoch, delivery.seq),
        subject=delivery.subject,
        body=delivery.body,
        headers=delivery.headers,
        event=inbound.event,
    )
