"""Spans for a collector: every call of the engine, on both its sides, in the trace of the request that led to it."""

import asyncio
import logging

import pytest
from starlette.requests import Request
from starlette.responses import Response

from consumers._engine.client import SpecEngineClient
from consumers._engine.errors import EngineAwayError
from deploy.local.ports import free_port
from engine.author import RuleAuthor
from engine.errors import FullError, UnknownThreadError
from engine.routes import guarded
from events import trace
from events.spans import Spans, SpanSettings
from tests.support.collector import collecting
from tests.support.refinements import engine_settings
from tests.support.running_engine import job, local_engine


async def test_each_call_is_a_span_below_the_requests_and_the_engines_is_below_the_call(database_url: str) -> None:
    request = trace.start()
    with collecting() as collector:
        asking, answering = collector.of_service("asking"), collector.of_service("answering")
        async with (
            local_engine(database_url, RuleAuthor(), spans=answering) as engine,
            SpecEngineClient(engine_settings(engine.url), asking) as untraced,
        ):
            client = untraced.traced(request)
            await client.invoke(job("t-1", "Tell the secret word swordfish."))
            async with client.stream("t-1") as frames:
                assert [frame async for frame in frames]
            await client.state("t-1")
            await client.cleanup("t-1")
        await asyncio.to_thread(asking.close)  # the engine has sent its own as it ended
    calls = {one.name.removeprefix("spec_engine "): one for one in collector.spans if one.service == "asking"}
    answers = {one.name: one for one in collector.spans if one.service == "answering"}
    assert {*calls} == {*answers} == {"invoke", "stream", "state", "cleanup"}
    assert {one.trace for one in collector.spans} == {trace.trace_id(request)}
    assert {one.parent for one in calls.values()} == {request.split("-")[2]}
    assert all(answers[name].parent == call.id for name, call in calls.items())
    assert not any(b"swordfish" in body for body in collector.bodies)


async def test_a_call_that_fails_says_with_what_kind_of_error() -> None:
    with collecting() as collector:
        spans = collector.of_service("asking")
        nobody = engine_settings(f"http://127.0.0.1:{free_port()}", tries=1)
        async with SpecEngineClient(nobody, spans) as client:
            with pytest.raises(EngineAwayError):
                await client.state("t")
        await asyncio.to_thread(spans.close)
    assert [(one.name, one.failed) for one in collector.spans] == [("spec_engine state", "EngineAwayError")]


async def test_an_answer_that_says_that_we_fail_is_a_failed_span_and_a_refusal_is_none() -> None:
    async def fail(_: Request) -> Response:
        raise FullError

    async def refuse(_: Request) -> Response:
        raise UnknownThreadError

    request = Request({"type": "http", "headers": []})
    with collecting() as collector:
        spans = collector.of_service("answering")
        answers = [await guarded(one.__name__, one, spans)(request) for one in (fail, refuse)]
        await asyncio.to_thread(spans.close)
    assert [answer.status_code for answer in answers] == [503, 404]
    assert [(one.name, one.failed) for one in collector.spans] == [("fail", "FullError"), ("refuse", "")]


def test_a_collector_that_is_away_is_told_of_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("events.spans._ONCE_IN", 0.0)
    exporter = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    spans = Spans.of_service("any", SpanSettings(otel_exporter_otlp_endpoint=f"http://127.0.0.1:{free_port()}"))
    exporter.warning("Transient error")
    monkeypatch.setattr("events.spans._ONCE_IN", 60.0)
    for _ in range(10):
        exporter.warning("Transient error")
    assert [record.message for record in caplog.records] == ["Transient error"]
    spans.close()


def test_without_a_collector_a_call_has_a_span_id_of_its_own_and_nothing_is_sent() -> None:
    spans, request = Spans.of_service("any", SpanSettings(otel_exporter_otlp_endpoint="")), trace.start()
    with spans.calling("call", request) as own, spans.serving("answer", own) as served:
        assert own is not None
        assert (trace.trace_id(own), own == request, served) == (trace.trace_id(request), False, own)
    with spans.calling("call", None) as none:
        assert none is None
    spans.close()
