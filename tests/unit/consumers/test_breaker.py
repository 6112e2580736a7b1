"""The breaker counts what async calls end with: 5 failures in a row open it, 3 good probes, one at a time, close it."""

import asyncio
from functools import partial

import pytest

from consumers._breaker import Breaker, BreakerOpenError
from tests.support.eventually import eventually


class RefusedError(Exception):
    """The caller's own fault: a 4xx."""


class BrokenError(Exception):
    """The service's fault."""


class Service:
    """Answers as the test says, and counts how often it was called."""

    def __init__(self) -> None:
        self.calls = 0
        self.fails: Exception | None = None
        self.go_on = asyncio.Event()
        self.go_on.set()

    def was_called(self, times: int) -> bool:
        return self.calls == times

    async def call(self) -> str:
        self.calls += 1
        await self.go_on.wait()
        await asyncio.sleep(0)
        if self.fails:
            raise self.fails
        return "fine"


def guarded(pause: float = 60.0) -> tuple[Breaker, Service]:
    return Breaker("service", lambda error: isinstance(error, BrokenError), pause=pause), Service()


async def fail(breaker: Breaker, service: Service, times: int, error: Exception | None = None) -> None:
    service.fails = error or BrokenError()
    for _ in range(times):
        with pytest.raises(type(service.fails)):
            await breaker.call(service.call)


async def test_five_failures_in_a_row_open_it_and_nothing_is_called_then() -> None:
    breaker, service = guarded()
    await fail(breaker, service, 5)
    with pytest.raises(BreakerOpenError) as refusal:
        await breaker.call(service.call)
    assert service.calls == 5
    assert refusal.value.retryable
    assert 50 < (refusal.value.retry_after or 0) <= 60


async def test_a_success_between_failures_starts_the_count_again() -> None:
    breaker, service = guarded()
    await fail(breaker, service, 4)
    service.fails = None
    assert await breaker.call(service.call) == "fine"
    await fail(breaker, service, 4)
    assert breaker.state == "closed"


async def test_what_is_not_the_services_fault_never_opens_it() -> None:
    breaker, service = guarded()
    await fail(breaker, service, 20, RefusedError())
    assert breaker.state == "closed"


async def test_failures_of_calls_that_run_at_the_same_time_are_counted() -> None:
    breaker, service = guarded()
    service.fails = BrokenError()
    service.go_on.clear()
    calls = [asyncio.create_task(breaker.call(service.call)) for _ in range(5)]
    await eventually(lambda: service.calls == 5)
    service.go_on.set()
    await asyncio.gather(*calls, return_exceptions=True)
    assert breaker.state == "open"


async def test_a_cancelled_call_counts_as_nothing() -> None:
    breaker, service = guarded()
    await fail(breaker, service, 4)
    service.go_on.clear()
    call = asyncio.create_task(breaker.call(service.call))
    await eventually(lambda: service.calls == 5)
    call.cancel()
    await asyncio.wait({call})
    assert breaker.state == "closed"
    service.go_on.set()
    await fail(breaker, service, 1)
    assert breaker.state == "open"


async def test_after_the_pause_one_probe_goes_at_a_time_and_three_good_ones_close_it() -> None:
    breaker, service = guarded(pause=0.05)
    await fail(breaker, service, 5)
    service.fails = None
    service.go_on.clear()
    await asyncio.sleep(0.06)  # the pause is the wall clock's, pybreaker takes no other
    for call in (6, 7, 8):
        probe = asyncio.create_task(breaker.call(service.call))
        await eventually(partial(service.was_called, call))
        with pytest.raises(BreakerOpenError):
            await breaker.call(service.call)
        service.go_on.set()
        assert await probe == "fine"
        if breaker.state != "closed":
            service.go_on.clear()
    assert (breaker.state, service.calls) == ("closed", 8)


async def test_a_probe_that_fails_opens_it_again() -> None:
    breaker, service = guarded(pause=0.05)
    await fail(breaker, service, 5)
    await asyncio.sleep(0.06)  # as above
    await fail(breaker, service, 1)
    with pytest.raises(BreakerOpenError):
        await breaker.call(service.call)
    assert (breaker.state, service.calls) == ("open", 6)
