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

    with slices.held():
        waiting = [asyncio.create_task(work(number)) for number in range(3)]
        for _ in range(5 * _ROUNDS):
            await asyncio.sleep(0)
        assert begun == []
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting)
    assert begun == [0, 1, 2]


async def test_who_holds_them_back_and_gets_stuck_stops_nobody() -> None:
    slices = TimeSlices(_ROUNDS)
    with slices.held():
        async with asyncio.timeout(5):
            await slices.next()
            await slices.next()


async def test_those_who_waited_before_they_were_held_back_wait_on() -> None:
    slices = TimeSlices(_ROUNDS)
    await slices.next()
    waiting = asyncio.create_task(slices.next())
    await asyncio.sleep(0)
    with slices.held():
        for _ in range(5 * _ROUNDS):
            await asyncio.sleep(0)
        assert not waiting.done()
    async with asyncio.timeout(5):
        await waiting
