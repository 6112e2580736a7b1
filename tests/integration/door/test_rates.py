"""How many requests a principal may make, whichever way they come."""

import httpx
import pytest
from pydantic import SecretStr

from gateway.auth.bearer import Principal
from gateway.auth.rates import Rates, RateSettings
from gateway.errors import RateLimitedError
from gateway.metrics import Metrics
from tests.support.doorstep import Doorstep, event
from tests.support.tokens import signed

pytestmark = pytest.mark.asyncio(loop_scope="module")

FREE_AT_ONCE = 10


async def test_the_eleventh_request_of_a_free_token_is_told_when_to_come_back(doorstep: Doorstep) -> None:
    async with doorstep.gateway.client(signed(sub="frank", tier="free")) as frank:
        answers = [await frank.get("/api/v1/tasks") for _ in range(FREE_AT_ONCE + 1)]
    assert [answer.status_code for answer in answers] == [200] * FREE_AT_ONCE + [429]
    problem = answers[-1].json()
    assert (problem["code"], problem["retryable"]) == ("rate_limited", True)
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 37  # 100 an hour


async def test_a_socket_too_many_is_told_so_and_not_that_something_broke(doorstep: Doorstep) -> None:
    bearer = signed(sub="henry", tier="free")
    async with doorstep.gateway.socket(bearer) as held:
        await held.until("hello")
        async with doorstep.gateway.client(bearer) as henry:
            for _ in range(FREE_AT_ONCE - 1):
                assert (await henry.get("/api/v1/tasks")).status_code == httpx.codes.OK
        async with doorstep.gateway.socket(bearer) as late:
            assert await late.closed() == (1013, "rate_limited")
        await held.send(type="auth", token=bearer)
        assert await held.closed() == (1013, "rate_limited")


async def test_nats_and_batches_are_counted_too(doorstep: Doorstep) -> None:
    bearer = signed(sub="gina", tier="free")
    async with doorstep.outsider("gina", bearer=bearer) as gina, doorstep.gateway.client(bearer) as http:
        batch = [event() for _ in range(FREE_AT_ONCE)]  # the connection and the batch itself are one each
        answer = await http.post(
            "/api/v1/events", json=batch, headers={"content-type": "application/cloudevents-batch+json"}
        )
        over_nats = await gina.ask(event())
    statuses = sorted(item["status"] for item in answer.json()["items"])
    assert statuses == [202] * (FREE_AT_ONCE - 2) + [429] * 2
    assert (over_nats.status, over_nats.body["code"]) == (429, "rate_limited")
    assert int(over_nats.headers["Retry-After"]) >= 1


async def test_others_are_not_held_up(doorstep: Doorstep) -> None:
    async with doorstep.http() as alice:
        answers = [await alice.get("/api/v1/tasks") for _ in range(3 * FREE_AT_ONCE)]
    assert {answer.status_code for answer in answers} == {httpx.codes.OK}


async def test_all_gateways_count_together(redis_url: str) -> None:
    settings = RateSettings(rate_tier="free", redis_url=SecretStr(redis_url))
    gateways = [Rates(settings, Metrics()) for _ in range(2)]
    hal = Principal("acme", "hal", frozenset(), 0.0)
    for number in range(FREE_AT_ONCE):
        await gateways[number % 2].take(hal)
    for gateway in gateways:
        with pytest.raises(RateLimitedError):
            await gateway.take(hal)
    await gateways[0].take(Principal("acme", "hal", frozenset(), 0.0, "unlimited"))
    for gateway in gateways:
        await gateway.close()


@pytest.mark.parametrize("url", [None, "redis://127.0.0.1:9/0"])
async def test_without_redis_each_gateway_counts_for_itself(url: str | None) -> None:
    rates = Rates(RateSettings(rate_tier="free", redis_url=SecretStr(url) if url else None), Metrics())
    ida = Principal("acme", "ida", frozenset(), 0.0)
    for _ in range(FREE_AT_ONCE):
        await rates.take(ida)
    with pytest.raises(RateLimitedError):
        await rates.take(ida)
    await rates.close()
