"""What NATS can say of our streams and consumers: how full, how safe, who reads, who is paused, what time it is."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import orjson
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo
from nats.js.errors import NotFoundError

from events.errors import BusUnavailableError
from events.streams import BUS, DLQ, DURABLES, Durable
from producers.topology import drift

_TIMEOUT = 2.0
_SILENT = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Readers:
    """One durable consumer: how much waits for it, and what is wrong with it."""

    name: str
    waiting: int
    in_hand: int
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class BusState:
    """One look. `log_limit` is 0 for a log without a limit."""

    now: datetime
    log_bytes: int
    log_limit: int
    replicas: int
    replicas_behind: tuple[str, ...]
    letters: int
    drift: tuple[str, ...] = ()
    readers: tuple[Readers, ...] = field(default=())


async def look(client: Client) -> BusState:
    """Ask NATS. Raises BusUnavailableError."""
    js = client.jetstream(timeout=_TIMEOUT)
    try:
        answer = orjson.loads((await client.request(f"$JS.API.STREAM.INFO.{BUS.name}", timeout=_TIMEOUT)).data)
        differing, letters = await asyncio.gather(drift(client), _count(js, DLQ.name))
        readers = await asyncio.gather(*(_readers(js, durable) for durable in DURABLES))
    except (NatsError, TimeoutError, OSError) as error:
        raise BusUnavailableError from error
    config, state = answer.get("config", {}), answer.get("state", {})
    others = (answer.get("cluster") or {}).get("replicas") or []
    return BusState(
        now=datetime.fromisoformat(answer["ts"]) if "ts" in answer else datetime.now(UTC),
        log_bytes=state.get("bytes", 0),
        log_limit=max(0, config.get("max_bytes", 0)),
        replicas=config.get("num_replicas", 1),
        replicas_behind=tuple(one["name"] for one in others if not one.get("current") or one.get("offline")),
        letters=letters,
        drift=tuple(differing),
        readers=tuple(reader for reader in readers if reader is not None),
    )


async def _count(js: JetStreamContext, stream: str) -> int:
    try:
        return (await js.stream_info(stream)).state.messages
    except NotFoundError:
        return 0  # which the drift says


async def _readers(js: JetStreamContext, durable: Durable) -> Readers | None:
    try:
        info = await js.consumer_info(durable.stream, durable.name)
    except NotFoundError:
        return None  # as above
    return Readers(durable.name, info.num_pending or 0, info.num_ack_pending or 0, _trouble(durable, info))


def _trouble(durable: Durable, info: ConsumerInfo) -> str | None:
    if info.paused:
        return "is paused: more than half of its last 50 messages failed"
    in_hand = info.num_ack_pending or 0
    if in_hand >= durable.max_ack_pending:
        return f"holds {in_hand} messages and settles none"
    return None if info.num_waiting or _all_hands_are_full(durable, info, in_hand) else "has no reader"


def _all_hands_are_full(durable: Durable, info: ConsumerInfo, in_hand: int) -> bool:
    """Then nobody asks for more; in flow mode that never lasts."""
    if durable.slots:
        return in_hand >= durable.slots
    last = info.delivered.last_active if info.delivered is not None else None
    return in_hand > 0 and last is not None and datetime.now(UTC) - last < _SILENT
