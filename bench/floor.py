"""The floor: raw nats-py on the same server binary and settings, with nothing of ours in between."""

import asyncio
from contextlib import suppress
from time import perf_counter
from typing import Self

import nats
from nats.aio.client import Client
from nats.js.api import StorageType, StreamConfig
from nats.js.errors import NotFoundError

IN_FLIGHT = 64
_STREAM, _SUBJECT = "FLOOR", "floor.default.task.running"
_BATCH = 100

# 430 bytes of CloudEvent, the size that reference figures were taken with.
_EVENT = (
    b'{"specversion":"1.0","id":"01a1fcaa-604c-76ce-922f-c091288f0be7","source":"/consumers/keeper",'
    b'"type":"io.ganglion.task.running.v1","subject":"3e659eb3-9545-43bf-9743-9b5ce865e896",'
    b'"time":"2026-01-01T00:00:00.000000Z","datacontenttype":"application/json","tenantid":"default",'
    b'"ownerid":"dev","traceparent":"00-88f5349af4719f99d62ca9ca184dce67-e073a27de61d3323-01",'
    b'"data":{"from_status":"assigned","version":4,"attempt":1,"kind":"goal"}}'
).ljust(430)


class Floor:
    """A connection and an empty file-backed stream; `async with Floor(url) as floor`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = Client()

    async def __aenter__(self) -> Self:
        self._client = await nats.connect(self._url)
        js = self._client.jetstream()
        with suppress(NotFoundError):
            await js.delete_stream(_STREAM)
        await js.add_stream(StreamConfig(name=_STREAM, subjects=["floor.>"], storage=StorageType.FILE))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.jetstream().delete_stream(_STREAM)
        await self._client.close()

    async def publish_rate(self, seconds: float) -> float:
        """Messages a second of `js.publish`, each with its acknowledgement, 64 in flight."""
        js = self._client.jetstream()
        start = perf_counter()
        until = start + seconds

        async def keep_publishing() -> int:
            done = 0
            while perf_counter() < until:
                await js.publish(_SUBJECT, _EVENT)
                done += 1
            return done

        counts = await asyncio.gather(*(keep_publishing() for _ in range(IN_FLIGHT)))
        return sum(counts) / (perf_counter() - start)

    async def publish_seconds(self, count: int) -> list[float]:
        """How long each of `count` publishes takes with its acknowledgement, one after the other."""
        js = self._client.jetstream()
        taken = []
        for _ in range(count):
            start = perf_counter()
            await js.publish(_SUBJECT, _EVENT)
            taken.append(perf_counter() - start)
        return taken

    async def consume_rate(self, seconds: float) -> float:
        """Messages a second of a durable pull consumer: fetch(100), then an ack for each.

        Reads what `publish_rate` left in the stream, so call that first.
        """
        js = self._client.jetstream()
        kept = (await js.stream_info(_STREAM)).state.messages
        subscription = await js.pull_subscribe(_SUBJECT, durable="floor")
        start, done = perf_counter(), 0
        while perf_counter() - start < seconds and done + _BATCH <= kept:
            for message in await subscription.fetch(_BATCH):
                await message.ack()
                done += 1
        await self._client.flush()
        rate = done / (perf_counter() - start)
        await subscription.unsubscribe()
        await js.delete_consumer(_STREAM, "floor")
        return rate
