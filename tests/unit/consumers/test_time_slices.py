"""Time slices: one portion at a time, and all that is ready goes between two of them."""

import asyncio
from itertools import pairwise

import pytest

from consumers._time_slices import TimeSlices

_ROUNDS = 3


class Rounds:
    """Counts the rounds of the event loop from now on."""

    def __init__(self) -> None:
        self.count = 0
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._next)

    def _next(self) -> None:
        self.count += 1
        self._loop.call_soon(self._next)


async def test_who_comes_when_nobody_works_begins_at_once() -> None:
    slices, rounds = TimeSlices(_ROUNDS), Rounds()
    await slices.next()
    assert rounds.count == 0


async def test_others_have_their_rounds_between_two_slices() -> None:
    slices, rounds = TimeSlices(_ROUNDS), Rounds()
    begun: list[int] = []

    async def work() -> None:
        await slices.next()
        begun.append(rounds.count)

    await asyncio.gather(*(work() for _ in range(4)))
    pauses = [later - earlier for earlier, later in pairwise(begun)]
    assert min(pauses) >= _ROUNDS, begun


async def test_slices_are_given_in_the_order_of_asking() -> None:
    slices = TimeSlices(_ROUNDS)
    order: list[int] = []

    async def work(number: int) -> None:
        await slices.next()
        order.append(number)

    await asyncio.gather(*(work(number) for number in range(5)))
    assert order == [0, 1, 2, 3, 4]


async def test_after_a_rest_the_next_begins_at_once_again() -> None:
    slices, rounds = TimeSlices(_ROUNDS), Rounds()
    await slices.next()
    for _ in range(2 * _ROUNDS + 2):
        await asyncio.sleep(0)
    before = rounds.count
    await slices.next()
    assert rounds.count == before


async def test_a_slice_is_not_lost_on_one_that_waits_no_more() -> None:
    slices = TimeSlices(_ROUNDS)
    await slices.next()
    gone, stays = (asyncio.create_task(slices.next()) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    async with asyncio.timeout(5):
        await stays
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_none_is_given_while_they_are_held_back() -> None:
    slices = TimeSlices(_ROUNDS)
    begun: list[int] = []

    async def work(number: int) -> None:
        await slices.next()
        begun.append(number)

    with slices.held(at_once=True):
        waiting = [asyncio.create_task(work(number)) for number in range(3)]
        for _ in range(5 * _ROUNDS):
            await asyncio.sleep(0)
        assert begun == []
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting)
    assert begun == [0, 1, 2]


async def test_who_holds_them_back_and_gets_stuck_stops_nobody() -> None:
    slices = TimeSlices(_ROUNDS)
    with slices.held(at_once=True):
        async with asyncio.timeout(5):
            await slices.next()
            await slices.next()


async def test_those_who_waited_before_they_were_held_back_wait_on() -> None:
    slices = TimeSlices(_ROUNDS)
    await slices.next()
    waiting = asyncio.create_task(slices.next())
    await asyncio.sleep(0)
    with slices.held(at_once=True):
        for _ in range(5 * _ROUNDS):
            await asyncio.sleep(0)
        assert not waiting.done()
    async with asyncio.timeout(5):
        await waiting


async def test_none_is_given_while_a_crowd_waits_for_who_goes_first() -> None:
    slices = TimeSlices(_ROUNDS)
    crowd = True
    with slices.before(lambda: crowd), slices.held(at_once=False):
        waiting = [asyncio.create_task(slices.next()) for _ in range(2)]
        for _ in range(5 * _ROUNDS):
            await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        crowd = False
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting)


async def test_a_crowd_that_comes_later_is_let_pass_all_the_same() -> None:
    slices = TimeSlices(_ROUNDS)
    crowd = False
    with slices.before(lambda: crowd):
        await slices.next()
        crowd = True
        waiting = asyncio.create_task(slices.next())
        for _ in range(5 * _ROUNDS):
            await asyncio.sleep(0)
        assert not waiting.done()
        with slices.held(at_once=True):
            crowd = False
        async with asyncio.timeout(5):
            await waiting


async def test_a_crowd_without_end_leaves_others_a_slice_each_time() -> None:
    slices = TimeSlices(_ROUNDS)
    begun = 0

    async def work() -> None:
        nonlocal begun
        while True:
            await slices.next()
            begun += 1

    with slices.before(lambda: True):
        working = asyncio.create_task(work())
        for _ in range(10):
            with slices.held(at_once=True):
                for _ in range(2 * _ROUNDS):
                    await asyncio.sleep(0)
        working.cancel()
    assert begun >= 9


async def test_a_crowd_that_nobody_deals_with_stops_nobody() -> None:
    slices = TimeSlices(_ROUNDS)
    with slices.before(lambda: True), slices.held(at_once=False):
        async with asyncio.timeout(5):
            for _ in range(100):
                await slices.next()
    async with asyncio.timeout(5):
        await slices.next()
