"""Make the server's streams and durables match `events/streams.py`: idempotent, and never lossy.

`apply` runs before the apps start, in each new epoch, and when a keeper begins to lead and something differs; `drift`
says what differs without changing it.
"""

import asyncio
import time
from dataclasses import replace

import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    StreamInfo,
)
from nats.js.errors import APIError, NotFoundError
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from events.errors import TopologyError
from events.streams import BUS, DURABLES, EPOCH_KEY, STREAMS, Durable, Stream

log = structlog.get_logger()

_LOOKS_WITHIN = 3.0
"""Seconds: a question that a cut link swallowed is asked again after that."""

_COMPARED = (
    "subjects",
    "max_age",
    "max_bytes",
    "duplicate_window",
    "discard",
    "retention",
    "storage",
    "allow_direct",
    "num_replicas",
)
_COMPARED_DURABLE = ("ack_wait", "max_deliver", "max_ack_pending", "ack_policy")


class TopologySettings(BaseSettings):
    """`GANGLION_LOG_MAX_BYTES`: the most that BUS keeps; at 80 % new work is refused. `GANGLION_LOG_REPLICAS`: on how
    many nodes of a cluster every stream is kept (1, 3 or 5).
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="GANGLION_")

    log_max_bytes: int = BUS.max_bytes
    log_replicas: int = Field(default=1, ge=1, le=5)


def new_epoch(previous: str = "") -> str:
    """A token that sorts after `previous` and after every earlier moment: milliseconds in 12 hex digits."""
    now = time.time_ns() // 1_000_000
    return f"{max(now, int(previous or '0', 16) + 1):012x}"


def stream_config(stream: Stream, metadata: dict[str, str] | None = None) -> StreamConfig:
    """The JetStream configuration of one row of the table."""
    return StreamConfig(
        name=stream.name,
        subjects=list(stream.subjects),
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.NEW,
        storage=StorageType(stream.storage),
        max_age=stream.max_age,
        max_bytes=stream.max_bytes,
        duplicate_window=stream.duplicate_window,
        allow_direct=True,
        allow_atomic=stream.allow_atomic or None,
        num_replicas=stream.replicas,
        metadata=metadata,
    )


def consumer_config(durable: Durable, *, first: int = 1) -> ConsumerConfig:
    """The JetStream configuration of one durable pull consumer; `first`: the sequence it begins with."""
    return ConsumerConfig(
        durable_name=durable.name,
        filter_subjects=list(durable.filters),
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE if first > 1 else DeliverPolicy.ALL,
        opt_start_seq=first if first > 1 else None,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=durable.ack_wait,
        max_deliver=durable.max_deliver,
        max_ack_pending=durable.max_ack_pending,
    )


def _table(settings: TopologySettings) -> tuple[Stream, ...]:
    sized = (replace(s, max_bytes=settings.log_max_bytes) if s.name == BUS.name else s for s in STREAMS)
    return tuple(replace(stream, replicas=settings.log_replicas) for stream in sized)


async def _info(js: JetStreamContext, name: str) -> StreamInfo | None:
    try:
        return await js.stream_info(name)
    except NotFoundError:
        return None


async def _apply_stream(js: JetStreamContext, stream: Stream) -> None:
    existing = await _info(js, stream.name)
    if existing is None:
        metadata = {EPOCH_KEY: new_epoch()} if stream.name == BUS.name else None
        await js.add_stream(stream_config(stream, metadata))
        log.info("stream_created", stream=stream.name)
    elif _differences(stream, existing):
        kept = {k: v for k, v in (existing.config.metadata or {}).items() if not k.startswith("_nats")}
        await js.update_stream(stream_config(stream, kept or None))
        log.info("stream_updated", stream=stream.name)


def _differences(stream: Stream, existing: StreamInfo) -> list[str]:
    wanted = stream_config(stream)
    return [
        f"stream {stream.name}: {name} is {getattr(existing.config, name)!r}, not {getattr(wanted, name)!r}"
        for name in _COMPARED
        if getattr(existing.config, name) != getattr(wanted, name)
    ]


async def apply(client: Client, settings: TopologySettings | None = None) -> None:
    """Create what is missing and update what differs. Raises TopologyError if the server refuses."""
    js = client.jetstream()
    try:
        for stream in _table(settings or TopologySettings()):
            await _apply_stream(js, stream)
        for durable in DURABLES:
            await _apply_durable(js, durable)
    except APIError as error:
        raise TopologyError(f"the server refused the topology: {error.description}") from error


async def _apply_durable(js: JetStreamContext, durable: Durable) -> None:
    """Where a durable began is part of what it is: the server lets nobody change it."""
    try:
        there = (await js.consumer_info(durable.stream, durable.name)).config
    except NotFoundError:
        await js.add_consumer(durable.stream, consumer_config(durable))
    else:
        await js.add_consumer(durable.stream, consumer_config(durable, first=there.opt_start_seq or 1))


async def start_epoch(client: Client, previous: str, *, common: int = 0) -> str:
    """Begin a new epoch: streams as the table says, durables made anew, then a newer token in BUS's metadata.

    Up to the sequence `common` the log is still the one that was folded: of that a durable is given again what it had
    not acknowledged. Whoever dies on the way leaves no newer token, and the next one begins again.
    """
    js = client.jetstream()
    await apply(client)
    for durable in DURABLES:
        if durable.stream == BUS.name:
            floor = (await js.consumer_info(BUS.name, durable.name)).ack_floor
            acknowledged = floor.stream_seq if floor is not None else 0
            await js.delete_consumer(BUS.name, durable.name)
            await js.add_consumer(BUS.name, consumer_config(durable, first=min(acknowledged, common) + 1))
    token = await epoch_of(client)
    if token <= previous:
        token = new_epoch(previous)
        stream = next(s for s in _table(TopologySettings()) if s.name == BUS.name)
        await js.update_stream(stream_config(stream, {EPOCH_KEY: token}))
    log.warning("epoch_started", epoch=token, previous=previous)
    return token


async def epoch_of(client: Client) -> str:
    """The epoch token of BUS; empty if the stream or its token is missing."""
    info = await _info(client.jetstream(), BUS.name)
    return "" if info is None else (info.config.metadata or {}).get(EPOCH_KEY, "")


async def drift(client: Client) -> list[str]:
    """What differs between the table and the server, one sentence each; empty if nothing does. One round trip."""
    js = client.jetstream(timeout=_LOOKS_WITHIN)
    streams = (_stream_drift(js, stream) for stream in _table(TopologySettings()))
    durables = (_durable_drift(js, durable) for durable in DURABLES)
    found = await asyncio.gather(*streams, *durables)
    return [sentence for sentences in found for sentence in sentences]


async def _stream_drift(js: JetStreamContext, stream: Stream) -> list[str]:
    info = await _info(js, stream.name)
    return [f"stream {stream.name} is missing"] if info is None else _differences(stream, info)


async def _durable_drift(js: JetStreamContext, durable: Durable) -> list[str]:
    try:
        actual = (await js.consumer_info(durable.stream, durable.name)).config
    except NotFoundError:
        return [f"consumer {durable.name} is missing"]
    wanted = consumer_config(durable)
    differing = [name for name in _COMPARED_DURABLE if getattr(actual, name) != getattr(wanted, name)]
    filters = set(actual.filter_subjects or [actual.filter_subject])
    if filters != set(durable.filters):
        differing.append("filter_subjects")
    return [f"consumer {durable.name}: {name} differs" for name in differing]
