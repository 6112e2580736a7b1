"""The client of a reflex service elsewhere: what it tries again, when it gives up, and what becomes of a task then."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import httpx
import orjson
import pytest
from prometheus_client import REGISTRY

from consumers._breaker import Breaker
from consumers.reflex import Reflex
from consumers.reflex.engine import RemoteEngine
from consumers.reflex.remote import ReflexAwayError, ReflexBusyError, RemoteReflex
from events.base import Event
from events.errors import TransientError
from events.ids import new_id
from events.task import TaskChecked, TaskSpec, TaskSubmitted, TaskUnchecked
from screening import Policy
from screening.cached import CachedScreener
from screening.settings import ScreeningSettings
from tests.support.pauses import assert_full_jitter, pauses_skipped
from tests.support.reflex_service import CLEAN, ReflexService, reflex_service

SSN = "536-90-4399"
BAD = (500, b"oops")


def breaker(pause: float) -> Breaker:
    return Breaker("reflex", lambda error: isinstance(error, ReflexAwayError), pause=pause)


@pytest.fixture
async def service() -> AsyncGenerator[ReflexService]:
    async with reflex_service() as running:
        yield running


@pytest.fixture
async def remote(service: ReflexService) -> AsyncGenerator[RemoteReflex]:
    async with RemoteReflex(service.url, token="secret", longest_wait=0.01) as client:
        yield client


@pytest.fixture(scope="module")
def builtin() -> CachedScreener:
    return CachedScreener(ScreeningSettings().screener())


def submitted(text: str) -> Event[TaskSubmitted]:
    task_id = new_id()
    data = TaskSubmitted(task_id=task_id, spec=TaskSpec(prompt=text))
    return Event.first(data, source="/gateway", tenant="t", owner="ann", task_id=task_id)  # type: ignore[return-value]  # the payload given


async def test_a_request_fits_the_contract_and_carries_the_token(remote: RemoteReflex, service: ReflexService) -> None:
    assert (await remote.examine("hello", tenant="acme")).findings == ()
    head, _, body = service.asked[0].partition(b"\r\n\r\n")
    assert b"authorization: bearer secret" in head.lower()
    sent = orjson.loads(body)
    assert sent["text"] == "hello"
    assert sent["user_id"].isalnum()
    assert sent["check_pii"] is sent["check_injection"] is True


@pytest.mark.parametrize("trouble", [BAD, (503, b""), (429, b"{}"), None, (200, b'{"status": "ratelimited"}')])
async def test_passing_trouble_is_tried_again(
    remote: RemoteReflex, service: ReflexService, trouble: tuple[int, bytes] | None
) -> None:
    service.answers = [trouble, trouble, (200, CLEAN)]
    await remote.examine("hello", tenant="t")
    assert len(service.asked) == 3


async def test_three_tries_are_all(remote: RemoteReflex, service: ReflexService) -> None:
    before = counted()
    service.answers = [BAD]
    with pytest.raises(ReflexAwayError):
        await remote.examine("hello", tenant="t")
    assert len(service.asked) == 3
    service.answers = [(200, CLEAN)]
    await remote.examine("hello", tenant="t")
    assert [now - was for now, was in zip(counted(), before, strict=True)] == [3, 1, 4]


def counted() -> list[float]:
    """The calls that failed, those that were answered, and those whose time was taken."""
    calls = "ganglion_reflex_engine_calls_total"
    samples = [(calls, {"outcome": "reflex_away"}), (calls, {"outcome": "answered"})]
    return [REGISTRY.get_sample_value(*one) or 0.0 for one in (*samples, ("ganglion_reflex_engine_seconds_count", {}))]


def test_a_call_has_ten_seconds_as_the_document_says() -> None:
    client = RemoteReflex("http://127.0.0.1:9")
    assert client._patience == 10.0
    assert client._http.timeout == httpx.Timeout(10.0)


async def test_between_its_tries_it_pauses_for_1_to_5_seconds(service: ReflexService) -> None:
    service.answers = [(429, b"{}")]
    with pauses_skipped() as slept:
        async with RemoteReflex(service.url) as patient:
            for _ in range(20):
                with pytest.raises(ReflexBusyError):
                    await patient.examine("hello", tenant="t")
    assert_full_jitter(slept, calls=20)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_what_the_service_refuses_is_not_tried_again(
    remote: RemoteReflex, service: ReflexService, status: int
) -> None:
    service.answers = [(status, b"{}")]
    with pytest.raises(TransientError):
        await remote.examine("hello", tenant="t")
    assert len(service.asked) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"status": "fine"}', b'{"status":"error"}', b"\xff"])
async def test_an_answer_that_does_not_fit_is_no_verdict(
    remote: RemoteReflex, service: ReflexService, body: bytes
) -> None:
    service.answers = [(200, body)]
    with pytest.raises(ReflexAwayError):
        await remote.examine("hello", tenant="t")


async def test_an_answer_that_cannot_be_unpacked_is_no_verdict(remote: RemoteReflex, service: ReflexService) -> None:
    service.headers = {"content-encoding": "gzip"}
    with pytest.raises(ReflexAwayError):
        await remote.examine("hello", tenant="t")
    assert not await remote.healthy()


async def test_a_call_ends_in_time_though_the_answer_trickles_in(service: ReflexService) -> None:
    service.answers = ["trickle"]
    async with asyncio.timeout(5), RemoteReflex(service.url, longest_wait=0.01, patience=0.2) as remote:
        with pytest.raises(ReflexAwayError):
            await remote.examine("hello", tenant="t")
    assert len(service.asked) == 3


async def test_five_failed_tries_open_the_breaker_and_nobody_is_asked_any_more(service: ReflexService) -> None:
    service.answers = [BAD]
    async with RemoteReflex(service.url, longest_wait=0.01) as remote:
        for _ in range(4):
            with pytest.raises(TransientError) as caught:
                await remote.examine("hello", tenant="t")
    assert len(service.asked) == 5
    assert caught.value.retry_after is not None
    assert 50 < caught.value.retry_after <= 60


async def test_a_service_that_takes_no_more_is_tried_again_and_never_opens_the_breaker(service: ReflexService) -> None:
    service.answers = [BAD, BAD, BAD, BAD, (429, b"{}")]
    async with RemoteReflex(service.url, longest_wait=0.01) as remote:
        for _ in range(5):
            with pytest.raises(TransientError):
                await remote.examine("hello", tenant="t")
        assert (remote._breaker.state, len(service.asked)) == ("closed", 15)


async def test_after_the_pause_one_probe_and_three_successes_close_it(service: ReflexService) -> None:
    guard = breaker(pause=0.05)
    service.answers = [*[BAD] * 5, (200, CLEAN)]
    async with asyncio.timeout(5), RemoteReflex(service.url, breaker=guard, longest_wait=0.01) as remote:
        for _ in range(2):
            with pytest.raises(TransientError):
                await remote.examine("hello", tenant="t")
        assert guard.state == "open"
        while guard.state != "closed":
            with suppress(TransientError):
                await remote.examine("hello", tenant="t")
            await asyncio.sleep(0)
    assert len(service.asked) == 5 + 3


@pytest.mark.parametrize("status", ["Success", "success", "Blocked", "BLOCKED"])
async def test_both_spellings_of_the_contract_are_understood(
    remote: RemoteReflex, service: ReflexService, builtin: CachedScreener, status: str
) -> None:
    old = {
        "status": status,
        "pii_detected": True,
        "pii_matches": [{"pii_type": "SSN", "start": 6, "end": 17, "matched_text": SSN, "confidence": 1.0}],
        "injection_detected": True,
        "injection_matches": [
            {"injection_type": "DirectPromptExtraction", "severity": "Medium", "start": 0, "end": 5, "confidence": 0.8,
             "indicators": []}
        ],
    }  # fmt: skip
    service.answers = [(200, orjson.dumps(old))]
    verdict = await RemoteEngine(remote, builtin).screen({"goal": f"It is {SSN}"}, kind="turn", tenant="t")
    assert verdict.redacted == {"goal": "It is [SSN_1]"}
    assert {(f.family, f.type, f.severity) for f in verdict.findings} == {
        ("pii", "ssn", "critical"),
        ("extraction", "direct_prompt_extraction", "medium"),
    }


async def test_a_block_without_a_reason_still_blocks(
    remote: RemoteReflex, service: ReflexService, builtin: CachedScreener
) -> None:
    service.answers = [(200, b'{"status": "Blocked"}')]
    verdict = await RemoteEngine(remote, builtin).screen({"goal": "x"}, kind="goal", tenant="t")
    assert verdict.decision == "block"


async def test_a_long_text_is_sent_in_parts_that_overlap(remote: RemoteReflex, service: ReflexService) -> None:
    service.answers = [(200, b'{"status": "Success", "pii_matches": [{"pii_type": "Email", "start": 1, "end": 5}]}')]
    found = await remote.examine("x" * 250_000, tenant="t")
    assert len(service.asked) == 3
    assert [f.start for f in found.findings] == [1, 99_001, 198_001]


async def test_while_the_service_is_away_the_task_waits_and_says_why(
    remote: RemoteReflex, service: ReflexService, builtin: CachedScreener
) -> None:
    service.answers = [None]
    outputs = await Reflex(RemoteEngine(remote, builtin)).screen(submitted("hello"))
    assert [type(output) for output in outputs] == [TaskUnchecked]
    assert outputs[0].model_dump()["reason"] == "screening_unavailable"
    service.answers = [(200, CLEAN)]
    checked = (await Reflex(RemoteEngine(remote, builtin)).screen(submitted("hello")))[0]
    assert isinstance(checked, TaskChecked)
    assert (checked.decision, checked.engine) == ("allow", "remote")


async def test_policy_may_have_the_built_in_rules_answer_instead(remote: RemoteReflex, service: ReflexService) -> None:
    policy = Policy.model_validate({"profiles": {"p": {"engine_down": "builtin"}}, "assign": {"*/*": "p"}})
    service.answers = [None]
    engine = RemoteEngine(remote, CachedScreener(ScreeningSettings().screener().under(policy)))
    checked = (await Reflex(engine).screen(submitted(f"my ssn is {SSN}")))[0]
    assert isinstance(checked, TaskChecked)
    assert (checked.decision, checked.engine) == ("block", "builtin")


async def test_health_is_what_the_service_says_of_itself(remote: RemoteReflex, service: ReflexService) -> None:
    assert await remote.healthy()
    service.healthy = False
    assert not await remote.healthy()


async def test_nobody_there_is_a_passing_failure() -> None:
    async with RemoteReflex("http://127.0.0.1:9", longest_wait=0.01) as remote:
        with pytest.raises(ReflexAwayError) as caught:
            await remote.examine("hello", tenant="t")
        assert isinstance(caught.value.__cause__, httpx.TransportError)
        assert not await remote.healthy()
