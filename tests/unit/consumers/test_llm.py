"""The model's agent against a real HTTP server: history as chat messages, words as they come, whose fault what was."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import tenacity
from pydantic import SecretStr

from consumers.runner import llm
from consumers.runner.agent import Said, Work
from consumers.runner.agents import built_in
from consumers.runner.llm import LlmAgent, LlmSettings
from events.base import JsonObject
from events.errors import GanglionError
from tests.support.eventually import eventually
from tests.support.model_server import Behaviour, ModelServer, Refuses, Says, Sends, model_server
from tests.support.pauses import assert_full_jitter, pauses_skipped

JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
TURN = Work(prompt="What is the dog called?", kind="turn")


class Heard:
    """The side that an agent reports to."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.else_told: list[object] = []

    async def say(self, text: str) -> None:
        self.pieces.append(text)

    async def used(self, *told: object, status: str = "succeeded") -> None:
        self.else_told.append((told, status))

    async def progress(self, note: str | None = None, percent: float | None = None) -> None:
        self.else_told.append((note, percent))

    async def checkpoint(self, data: JsonObject, note: str | None = None) -> None:
        self.else_told.append((data, note))

    def spent(self, tokens: int = 0, cost_usd: float = 0.0) -> None:
        self.else_told.append((tokens, cost_usd))


@pytest.fixture(autouse=True)
def jitter(monkeypatch: pytest.MonkeyPatch) -> tenacity.wait.wait_base:
    """What its pauses are made of; these tests have none."""
    real = llm._FULL_JITTER
    monkeypatch.setattr(llm, "_FULL_JITTER", tenacity.wait_none())
    return real


@asynccontextmanager
async def asked(*behaviours: Behaviour, **settings: object) -> AsyncGenerator[tuple[ModelServer, LlmAgent, Heard]]:
    async with model_server(*behaviours) as server:
        given = {"base_url": server.url, "model": "m-1", "silence_timeout": 0.5, **settings}
        agent = LlmAgent(LlmSettings.model_validate(given))
        yield server, agent, Heard()


async def failure_of(agent: LlmAgent, heard: Heard, work: Work = TURN) -> GanglionError:
    with pytest.raises(GanglionError) as raised:
        await agent.run(work, heard)
    return raised.value


async def test_the_conversation_goes_out_as_chat_messages_in_order_and_the_words_come_back_as_they_are() -> None:
    history = (Said("user", "My dog is called Pepper."), Said("assistant", "A fine name."), Said("tool", "{}"))
    async with asked(Says(["Pep", "per ", "\u2028\x85 ok"]), api_key=SecretStr("s3cret"), max_tokens=77) as (
        server,
        agent,
        heard,
    ):
        answer = await agent.run(Work(prompt="What is the dog called?", kind="turn", history=history), heard)
    assert answer.output == {"text": "Pepper \u2028\x85 ok", "model": "m-1", "finish_reason": "stop"}
    assert heard.pieces == ["Pep", "per ", "\u2028\x85 ok"]
    assert (answer.tokens, answer.partial) == (15, False)
    sent = server.asked[0]
    assert (sent["model"], sent["max_tokens"], sent["stream"]) == ("m-1", 77, True)
    messages = sent["messages"]
    assert isinstance(messages, list)
    assert messages[0]["role"] == "system"  # type: ignore[index, call-overload]  # JSON
    assert messages[1:] == [
        {"role": "user", "content": "My dog is called Pepper."},
        {"role": "assistant", "content": "A fine name."},
        {"role": "user", "content": "What is the dog called?"},
    ]
    assert server.headers[0]["authorization"] == "Bearer s3cret"


async def test_other_work_brings_its_context_and_criteria_along() -> None:
    async with asked(Says()) as (server, agent, heard):
        await agent.run(Work(prompt="Summarise", context="the notes", acceptance_criteria=("short",)), heard)
    assert "the notes" in str(server.asked[0]["messages"])
    assert "- short" in str(server.asked[0]["messages"])


async def test_a_server_that_does_not_stream_is_understood() -> None:
    body = b'{"choices":[{"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}'
    async with asked(Sends(JSON + body)) as (_, agent, heard):
        answer = await agent.run(TURN, heard)
    assert answer.output["text"] == "Hi"
    assert answer.tokens > 0  # estimated


async def test_an_answer_that_reached_its_limit_is_partial_and_its_price_is_counted() -> None:
    async with asked(Says(end="length", usage=(1_000_000, 500_000)), usd_per_million_tokens=(1.0, 2.0)) as (
        _,
        agent,
        heard,
    ):
        answer = await agent.run(TURN, heard)
    assert answer.partial
    assert answer.cost_usd == pytest.approx(2.0)


async def test_half_a_character_does_not_cost_the_answer() -> None:
    """A server in JavaScript may cut between the halves of an emoji."""
    words = (b"Well \\ud83d", b"\\ude00 done")
    said = b"".join(b'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n' % word for word in words)
    end = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    async with asked(Sends(STREAM + said + end)) as (_, agent, heard):
        answer = await agent.run(TURN, heard)
    assert answer.output["text"] == "Well ?? done"


async def test_an_answer_longer_than_an_event_is_cut_and_partial() -> None:
    content = b"\xe6\xbc\xa2" * 400_000
    body = b'{"choices":[{"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}]}' % content
    async with asked(Sends(JSON + body)) as (_, agent, heard):
        answer = await agent.run(TURN, heard)
    assert answer.partial
    assert answer.output["text"] == "".join(heard.pieces)
    assert 500_000 < len(str(answer.output["text"]).encode()) < 700_000


async def test_a_server_that_counts_without_measure_costs_no_more_than_a_row_holds() -> None:
    async with asked(Says(usage=(10**30, -5))) as (_, agent, heard):
        answer = await agent.run(TURN, heard)
    assert answer.tokens == 2**53


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_a_server_that_is_unwell_is_asked_three_times(status: int) -> None:
    async with asked(Refuses(status), Refuses(status), Says()) as (server, agent, heard):
        answer = await agent.run(TURN, heard)
        assert len(server.asked) == 3
    assert answer.output["text"] == "Hello there."


async def test_after_three_tries_the_run_fails_with_a_friendly_retryable_error() -> None:
    async with asked(Refuses(500)) as (server, agent, heard):
        error = await failure_of(agent, heard)
        assert len(server.asked) == 3
    assert (error.code, error.retryable) == ("agent_unavailable", True)
    assert "secret" not in error.detail


@pytest.mark.parametrize("status", [400, 401, 404, 422])
async def test_a_refused_request_is_not_repeated_and_is_not_the_servers_fault(status: int) -> None:
    async with asked(Refuses(status)) as (server, agent, heard):
        for _ in range(6):
            error = await failure_of(agent, heard)
        assert len(server.asked) == 6
        assert agent.breaker.state == "closed"
    assert (error.code, error.retryable) == ("agent_refused", False)


async def test_between_its_tries_it_pauses_for_1_to_5_seconds(
    jitter: tenacity.wait.wait_base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llm, "_FULL_JITTER", jitter)
    with pauses_skipped() as slept:
        for _ in range(20):
            async with asked(Refuses(500)) as (_, agent, heard):
                await failure_of(agent, heard)
    assert_full_jitter(slept, calls=20)


async def test_the_server_says_how_long_to_wait() -> None:
    async with asked(Refuses(503, {"retry-after": "0.3"}), Says()) as (_, agent, heard):
        began = time.monotonic()
        await agent.run(TURN, heard)
        assert time.monotonic() - began >= 0.3


async def test_an_answer_cut_in_the_middle_is_never_taken_for_a_whole_one_nor_said_twice() -> None:
    async with asked(Says(cut=True), Says()) as (server, agent, heard):
        error = await failure_of(agent, heard)
        assert len(server.asked) == 1
    assert (error.code, error.retryable) == ("agent_cut_short", True)
    assert heard.pieces == ["Hello", " there", "."]


async def test_a_stream_that_ends_without_saying_so_is_cut_short() -> None:
    body = STREAM + b'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\n'
    async with asked(Sends(body)) as (_, agent, heard):
        assert (await failure_of(agent, heard)).code == "agent_cut_short"


async def test_a_stream_cut_before_its_first_word_is_asked_for_again() -> None:
    async with asked(Says(words=(), cut=True), Says()) as (_, agent, heard):
        assert (await agent.run(TURN, heard)).output["text"] == "Hello there."


async def test_a_silent_server_is_given_up_and_counts_as_failing() -> None:
    async with asked(Says(words=(), hangs=True), silence_timeout=0.05) as (server, agent, heard):
        assert (await failure_of(agent, heard)).code == "agent_unavailable"
        assert len(server.asked) == 3


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with asked(Says()) as (_, agent, heard):
        pass
    assert (await failure_of(agent, heard)).code == "agent_unavailable"


@pytest.mark.parametrize(
    "answer",
    [
        JSON + b"no json",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<html>",
        STREAM + b'data: {"choices": 5}\n\n',
        b"HTTP/1.1 302 Found\r\nlocation: http://elsewhere/\r\ncontent-length: 0\r\n\r\n",
    ],
)
async def test_what_is_not_the_protocol_is_an_error_and_not_an_answer(answer: bytes) -> None:
    async with asked(Sends(answer)) as (_, agent, heard):
        assert (await failure_of(agent, heard)).code in {"agent_bad_answer", "agent_refused"}
    assert heard.pieces == []


async def test_an_error_inside_a_stream_is_an_error() -> None:
    async with asked(Sends(STREAM + b'data: {"error": {"message": "overloaded"}}\n\n')) as (_, agent, heard):
        assert (await failure_of(agent, heard)).code == "agent_unavailable"


async def test_five_failures_in_a_row_open_the_breaker_and_the_server_is_left_alone() -> None:
    async with asked(Refuses(500)) as (server, agent, heard):
        await failure_of(agent, heard)
        error = await failure_of(agent, heard)
        assert (len(server.asked), agent.breaker.state) == (5, "open")
        assert (error.code, error.retryable) == ("agent_unavailable", True)
        await failure_of(agent, heard)
        assert len(server.asked) == 5


async def test_the_breaker_lets_probes_through_after_its_pause_and_closes_after_three() -> None:
    async with asked(*[Refuses(500)] * 5, Says(), breaker_pause=0.05) as (server, agent, heard):
        for _ in range(2):
            await failure_of(agent, heard)
        await asyncio.sleep(0.06)  # the pause is the wall clock's
        for state in ("half-open", "half-open", "closed"):
            await agent.run(TURN, heard)
            assert agent.breaker.state == state
        assert len(server.asked) == 8


async def test_cancelling_the_run_hangs_up_on_the_server() -> None:
    async with asked(Says(words=("Well",), hangs=True), silence_timeout=30) as (server, agent, heard):
        run = asyncio.create_task(agent.run(TURN, heard))
        await eventually(lambda: heard.pieces)
        run.cancel()
        await asyncio.wait({run})
        await eventually(lambda: server.gone == 1)
    assert run.cancelled()


def test_a_model_takes_the_place_of_the_offline_agent_which_only_ends_what_it_has() -> None:
    without, named = built_in(LlmSettings(base_url=None)), built_in(LlmSettings(base_url="http://x/v1"))
    assert [[agent.id for agent in agents] for agents in without] == [["extractive"], []]
    assert [[agent.id for agent in agents] for agents in named] == [["llm"], ["extractive"]]
