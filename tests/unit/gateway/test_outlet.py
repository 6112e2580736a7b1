"""The bounded queue towards one connection."""

import asyncio

from gateway.outlet import Closing, Outlet


async def test_frames_come_out_in_order_and_whole() -> None:
    outlet = Outlet()
    outlet.put("a", "b")
    outlet.put("c")
    assert [await outlet.next(), await outlet.next()] == ["ab", "c"]


async def test_a_frame_that_does_not_fit_ends_the_connection_with_the_last_cursor_that_went_out() -> None:
    outlet = Outlet(limit=1_000)
    outlet.put("x" * 400, cursor="e-1")
    await outlet.next()
    assert outlet.put("x" * 600, cursor="e-2")
    assert not outlet.put("x" * 600, cursor="e-3")
    assert not outlet.put("late")
    assert await outlet.next() == Closing(4408, "e-1")


async def test_one_frame_larger_than_the_limit_still_goes_through() -> None:
    outlet = Outlet(limit=100)
    assert outlet.put("x" * 500)


async def test_closing_sends_what_is_queued_first() -> None:
    outlet = Outlet()
    outlet.put("a")
    outlet.close(1012, "restart")
    outlet.close(4401, "too late")
    assert [await outlet.next(), await outlet.next()] == ["a", Closing(1012, "restart")]


async def test_a_replay_waits_for_room_and_a_closing_lets_it_go() -> None:
    outlet = Outlet(limit=1_000)
    outlet.put("x" * 700)
    waiting = asyncio.create_task(outlet.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    await outlet.next()
    await waiting
    outlet.put("x" * 700)
    waiting = asyncio.create_task(outlet.room())
    outlet.close(1012, "restart")
    await waiting
