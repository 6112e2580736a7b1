"""The way out to a reader that takes."""

import asyncio

from events.cursor import Cursor
from gateway.live.outlet import Closing, QueueOutlet


async def test_what_waits_comes_out_in_order_and_in_one_piece() -> None:
    outlet = QueueOutlet()
    outlet.put(b"a")
    outlet.put(b"b")
    assert await outlet.next() == b"ab"
    outlet.put(b"c")
    assert await outlet.next() == b"c"


async def test_a_reader_is_behind_above_the_high_water_mark_until_it_takes() -> None:
    outlet = QueueOutlet(high_water=1_000)
    outlet.put(b"x" * 1_000)
    assert not outlet.blocked
    outlet.put(b"x")
    assert outlet.blocked
    waiting = asyncio.create_task(outlet.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    await outlet.next()
    await waiting


async def test_closing_sends_what_is_queued_first() -> None:
    outlet = QueueOutlet()
    outlet.put(b"a")
    outlet.close(1012, "restart")
    outlet.close(4401, "too late")
    outlet.put(b"late")
    assert [await outlet.next(), await outlet.next()] == [b"a", Closing(1012, "restart")]


async def test_a_slow_reader_is_told_where_to_resume() -> None:
    outlet = QueueOutlet()
    outlet.put(b"a", Cursor("e", 7))
    outlet.put(b"b")
    outlet.close(4408, "")
    assert outlet.closing == Closing(4408, "e-7")
    nothing_seen = QueueOutlet()
    nothing_seen.close(4408, "")
    assert nothing_seen.closing == Closing(4408, "0")


async def test_closing_lets_go_who_waits_for_room() -> None:
    outlet = QueueOutlet(high_water=1)
    outlet.put(b"xx")
    waiting = asyncio.create_task(outlet.room())
    await asyncio.sleep(0)
    outlet.close(1012, "restart")
    await waiting
