"""A mark: one message of a stream, told from any other that may stand in its place later.

A log that loses its end in a power cut gives the same sequences again, to other messages.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

_SAME = timedelta(milliseconds=1)
"""What rounding may cost. Two messages of one sequence are a server's restart apart."""


class Mark(NamedTuple):
    """The sequence of a message and when it was stored, in ns."""

    seq: int
    stamp: int


async def mark_of(js: JetStreamContext, stream: str, seq: int) -> Mark | None:
    """The mark of the message at `seq`, if it is there."""
    if seq < 1:
        return None
    try:
        found = await js.get_msg(stream, seq=seq)
    except NotFoundError:
        return None
    return None if found.time is None else Mark(seq, int(found.time.timestamp() * 1e9))


async def is_there(js: JetStreamContext, stream: str, mark: Mark) -> bool:
    """Whether the stream has this message, or had it until it was deleted; not if its end was lost before that.

    Raises NotFoundError without the stream.
    """
    try:
        found = await js.get_msg(stream, seq=mark.seq)
    except NotFoundError:
        return (await js.stream_info(stream)).state.last_seq >= mark.seq
    return _is_same(found, mark)


def _is_same(found: RawStreamMsg, mark: Mark) -> bool:
    return found.time is not None and abs(found.time - datetime.fromtimestamp(mark.stamp / 1e9, UTC)) < _SAME
