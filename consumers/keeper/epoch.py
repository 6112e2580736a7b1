"""Is the log still the one that was folded? If not, a new epoch begins (DESIGN 4).

Sequences are reused after a store was wiped or truncated and its creation date may not change, so contents are
compared: the event at the position against what was folded there. A log that only lost its end, as a power cut does to
one that is not flushed with every write, is gone on with behind what it still has in common with the folded one.
"""

from nats.aio.client import Client
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from events.codec import decode
from events.errors import InvalidEventError
from events.streams import BUS
from producers.topology import apply, drift, epoch_of, start_epoch
from storage.keeper import Folded, KeeperStore, Position


async def settle_epoch(client: Client, store: KeeperStore, position: Position) -> Position:
    """Where to go on: the given position, or a place in a new epoch that is stored before this returns.

    What is missing of streams and durables is made again: what is kept in memory went with the server, and who made the
    log anew may have died before its durables were there.
    """
    if await drift(client):
        await apply(client)
    token = await epoch_of(client)
    if token and token == position.epoch and await _same_log(client, store, position):
        return position
    return await begin_epoch(client, store, position)


async def begin_epoch(client: Client, store: KeeperStore, position: Position) -> Position:
    """Go on in an epoch that is newer than the given position's, begun here if nobody has; as `settle_epoch` does."""
    token = await epoch_of(client)
    common = await _end_in_common(client, store, position)
    if token <= position.epoch:
        token = await start_epoch(client, position.epoch, common=common)
    first = Position(token, common)
    await store.move(first)
    return first


async def _end_in_common(client: Client, store: KeeperStore, position: Position) -> int:
    """The last sequence up to which the stream holds what was folded; 0 if there is none.

    What was folded is not read again, by the keeper or anyone: a log holds days. Found by halving, which takes a score
    of questions for a million events.
    """
    try:
        state = (await client.jetstream().stream_info(BUS.name)).state
    except NotFoundError:
        return 0
    # What lies before an epoch's own events was in common when it began, and is if anything behind it is.
    begins = max(state.first_seq, await store.first_folded(position.epoch), 1)
    common, differs, kept = begins - 1, min(state.last_seq, position.seq) + 1, 0
    while differs - common > 1:
        middle = (common + differs) // 2
        if await _holds_what_was_folded(client, store, Position(position.epoch, middle)):
            common = kept = middle
        else:
            differs = middle
    return kept


async def _holds_what_was_folded(client: Client, store: KeeperStore, place: Position) -> bool:
    folded = await store.folded_at(place)
    if folded is None:
        return False
    try:
        return _is_same(await client.jetstream().get_msg(BUS.name, seq=place.seq), folded)
    except NotFoundError:
        return False


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
