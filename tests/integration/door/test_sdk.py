"""The SDK against a real gateway and a real NATS, over both, through cuts and repeats."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from gateway.door import watching
from producers.sdk import EventProducer, Happening, RefusedError, UnavailableError, Watch
from tests.support.doorstep import Doorstep
from tests.support.eventually import eventually
from tests.support.proxy import Proxy, proxied
from tests.support.running_gateway import token

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def way(kind: str, doorstep: Doorstep) -> AsyncGenerator[Proxy]:
    """To the gateway or to NATS, through a proxy that can be cut."""
    async with proxied(doorstep.gateway.url if kind == "http" else f"nats://{doorstep.where}") as proxy:
        yield proxy


def url_of(proxy: Proxy) -> str:
    return proxy.url.replace("://@", "://")


@pytest.mark.parametrize("kind", ["http", "nats"])
async def test_a_task_is_asked_for_watched_and_ended(kind: str, doorstep: Doorstep) -> None:
    async with way(kind, doorstep) as proxy, EventProducer(url_of(proxy), token()) as producer:
        task = await producer.submit("Summarise: it rained.", metadata={"from": kind})
        assert (task.receipt.outcome, task.receipt.durability) == ("applied", "log+database")
        receipt = await producer.cancel(task, "No longer needed.")
        assert receipt.outcome == "applied"
        seen = [told.event async for told in producer.watch(task) if isinstance(told, Happening)]
        assert seen == ["task.submitted", "task.control", "task.cancelled"]
        last = await producer.finished(task, within=10)
    assert isinstance(last, Happening)
    assert (last.event, last.is_final) == ("task.cancelled", True)


@pytest.mark.parametrize("kind", ["http", "nats"])
async def test_a_repeat_is_the_same_task(kind: str, doorstep: Doorstep) -> None:
    async with way(kind, doorstep) as proxy, EventProducer(url_of(proxy), token(), source="/crawler") as producer:
        first, second = [await producer.submit("Once.", event_id=f"page-{kind}") for _ in range(2)]
        with pytest.raises(RefusedError, match="idempotency_conflict"):
            await producer.submit("Something else.", event_id=f"page-{kind}")
    assert (first.id, first.receipt.replayed, second.receipt.replayed) == (second.id, False, True)


@pytest.mark.parametrize("kind", ["http", "nats"])
async def test_a_refusal_says_what_is_wrong(kind: str, doorstep: Doorstep) -> None:
    async with way(kind, doorstep) as proxy, EventProducer(url_of(proxy), token()) as producer:
        with pytest.raises(RefusedError, match=r"data\.spec\.prompt") as wrong:
            await producer.submit(" ")
        assert (wrong.value.status, wrong.value.code) == (422, "invalid_request")
        with pytest.raises(RefusedError, match="not_found"):
            [told async for told in producer.watch("task:00000000-0000-4000-8000-000000000000")]


@pytest.mark.parametrize("kind", ["http", "nats"])
async def test_cuts_are_survived_without_a_loss_or_a_repeat(kind: str, doorstep: Doorstep) -> None:
    async with way(kind, doorstep) as proxy, EventProducer(url_of(proxy), token("carl")) as producer:
        watch, seen = producer.watch("tasks"), list[str]()
        watching = asyncio.create_task(_note(watch, seen))
        async with asyncio.timeout(20):
            await watch.ready.wait()
            for number in range(6):
                await producer.submit(f"Number {number}.")
                proxy.cut()
            await eventually(lambda: len(seen) >= 6, within=15)
        watching.cancel()
    assert len(seen) == len(set(seen)) == 6


async def test_who_is_refused_for_now_waits_before_it_asks_again(
    doorstep: Doorstep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "AT_ONCE", -1)
    said: list[str] = []
    async with way("nats", doorstep) as proxy, EventProducer(url_of(proxy), token(), say=said.append) as producer:
        task = await producer.submit("Not now.")
        await producer.cancel(task)
        waiting = asyncio.create_task(producer.finished(task, within=30))
        await eventually(lambda: len(said) > 2)
        monkeypatch.undo()
        assert isinstance(await waiting, Happening)
    assert all("overloaded" in line for line in said)


async def _note(watch: Watch, seen: list[str]) -> None:
    async for told in watch:
        if isinstance(told, Happening) and told.event == "task.submitted":
            seen.append(told.cursor)  # noqa: PERF401 - seen while it grows


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nats://127.0.0.1:9"])
async def test_nobody_there_is_told_after_the_time_given(url: str) -> None:
    async with EventProducer(url, token()) as producer:
        with pytest.raises(UnavailableError):
            await producer.submit("Anybody?", within=0.5)


async def test_a_fresh_token_is_asked_for_when_the_old_one_ends(doorstep: Doorstep) -> None:
    given: list[str] = []

    def fresh() -> str:
        given.append(token(lifetime=-28))  # good for two seconds of leeway
        return given[-1]

    async with EventProducer(f"nats://{doorstep.where}", fresh) as producer:
        await producer.submit("Before.")
        asked = len(given)

        async def goes_on_with_another() -> bool:
            task = await producer.submit("After.", within=10)
            return task.receipt.outcome == "applied" and len(given) > asked

        await eventually(goes_on_with_another, within=10, every=0.2)
