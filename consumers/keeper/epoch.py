"""Is the log still the one that was folded? If not, a new epoch begins (DESIGN 4).

Sequences are reused after a store was wiped or truncated and its creation date may not change, so contents are
compared: the event at the position against what was folded there.
"""

from nats.aio.client import Client
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from events.codec import decode
from events.errors import InvalidEventError
from events.streams import BUS
from producers.topology import epoch_of, start_epoch
from storage.keeper import Folded, KeeperStore, Position


async def settle_epoch(client: Client, store: KeeperStore, position: Position) -> Position:
    """Where to go on: the given position, or the beginning of a new epoch that is stored before this returns."""
    token = await epoch_of(client)
    if token and token == position.epoch and await _same_log(client, store, position):
        return position
    if token <= position.epoch:
        token = await start_epoch(client, position.epoch)
    first = Position(token, 0)
    await store.move(first)
    return first


async def _same_log(client: Client, store: KeeperStore, position: Position) -> bool:
    """Whether the stream reaches the position and, unless it has aged out, holds there what was folded."""
    js = client.jetstream()
    try:
        state = (await js.stream_info(BUS.name)).state
    except NotFoundError:
        return False
    if position.seq > state.last_seq:
        return False
    if position.seq < max(1, state.first_seq):
        return True
    try:
        found = await js.get_msg(BUS.name, seq=position.seq)
    except NotFoundError:
        return True  # deleted on purpose or corrupt: the reader finds the hole and says so
    folded = await store.folded_at(position)
    return folded is None or _is_same(found, folded)


def _is_same(found: RawStreamMsg, folded: Folded) -> bool:
    """By the event's own id; bytes that hold no event are compared as such."""
    body = found.data or b""
    try:
        return decode(body, found.headers).id == folded.id
    except InvalidEventError:
        return folded.body is None or folded.body == body
