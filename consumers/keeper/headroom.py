"""Room in the log: what every reader has read is purged before the log is full (DESIGN 3).

Nothing is lost by that: the keeper has copied it into `event_log`, from which histories are read, and no consumer has
anything to do below the floor. From 80 % on the gateway takes no new work, so a log that stays there is purged too.
"""

from dataclasses import dataclass

import structlog
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerInfo

from events.streams import BUS

log = structlog.get_logger()

PURGE_AT = 0.9
SHED_AT = 0.8
_PATIENCE = 2
"""Looks in a row above `SHED_AT` after which there is a purge."""


@dataclass(slots=True)
class Headroom:
    """Looks how full the log is, once a call, and makes room when it has to."""

    client: Client
    above: int = 0
    ended_at: int = 0
    """Where the log ended at the look before."""

    async def look(self, committed: int) -> None:
        """Purge what lies below `committed`, the keeper's own position, and below every consumer's floor."""
        js = self.client.jetstream()
        info = await js.stream_info(BUS.name)
        ended_at, self.ended_at = min(self.ended_at, info.state.last_seq), info.state.last_seq
        limit = info.config.max_bytes or 0
        fullness = info.state.bytes / limit if limit > 0 else 0.0
        self.above = self.above + 1 if fullness >= SHED_AT else 0
        if fullness < PURGE_AT and self.above < _PATIENCE:
            return
        consumers = await js.consumers_info(BUS.name)
        floor = min([committed, *(floor_of(consumer, ended_at) for consumer in consumers)])
        if floor < info.state.first_seq:
            log.warning("log_full_of_unread", fullness=round(fullness, 3), floor=floor)
            return
        await js.purge_stream(BUS.name, seq=floor + 1)
        self.above = 0
        log.warning("log_purged", fullness=round(fullness, 3), up_to=floor)


def floor_of(consumer: ConsumerInfo, ended_at: int) -> int:
    """Up to where a consumer needs nothing any more; `ended_at` is where the log ended a while before it was asked.

    A while, because a message is in the log a moment before its consumers count it as pending (1 to 2 in a hundred
    questions asked right behind an acknowledged publish were answered without it).
    """
    acknowledges = consumer.config.ack_policy != AckPolicy.NONE
    place = consumer.ack_floor if acknowledges else consumer.delivered
    read = place.stream_seq if place is not None else 0
    is_idle = not consumer.num_pending and not consumer.num_ack_pending
    return max(read, ended_at) if is_idle else read
