"""A model and an agent of one's own on the whole stack; what docs/chat.md and docs/agents.md show is run."""

import json
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.support.model_server import ModelServer, Says, model_server
from tests.support.stack import Stack, running_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

Json = dict[str, object]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncGenerator[ModelServer]:
    async with model_server(Says(("She is", " called", " Pepper."))) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def with_a_model(model: ModelServer) -> AsyncGenerator[Stack]:
    async with running_stack({"LLM_BASE_URL": model.url, "LLM_MODEL": "m-1", "LLM_API_KEY": "s3cret"}) as stack:
        yield stack


async def test_the_model_answers_every_turn_with_the_conversation_as_chat_messages(
    with_a_model: Stack, model: ModelServer
) -> None:
    said = ["My dog is called Pepper.", "We moved to Lisbon.", "What is the dog called?"]
    conversation = None
    async with with_a_model.client() as client:
        for message in said:
            answer = await client.post("/api/dev/chat", json={"message": message, "conversation_id": conversation})
            assert answer.status_code == 200, answer.text
            conversation = answer.json()["conversation_id"]
        told = [(line["role"], line["content"]) for line in answer.json()["messages"]]
        task = (await client.get(f"/api/v1/tasks/{answer.json()['task_id']}")).json()
    asked = model.asked[-1]["messages"]
    assert isinstance(asked, list)
    assert told == [pair for message in said for pair in (("user", message), ("assistant", "She is called Pepper."))]
    assert [(line["role"], line["content"]) for line in asked[1:]] == told[:-1]  # type: ignore[index,call-overload]  # JSON
    assert (len(model.asked), model.asked[-1]["model"], model.headers[-1]["authorization"]) == (
        3,
        "m-1",
        "Bearer s3cret",
    )
    assert (task["agent_id"], task["result"]["model"]) == ("llm", "m-1")


async def test_its_words_are_streamed_before_the_message_is_stored(with_a_model: Stack) -> None:
    events: list[tuple[str, Json]] = []
    body, headers = {"message": "What is the dog called?"}, {"Accept": "text/event-stream"}
    async with (
        with_a_model.client() as client,
        client.stream("POST", "/api/dev/chat", json=body, headers=headers) as answer,
    ):
        name = ""
        async for line in answer.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                events.append((name, json.loads(value)))
    names = [name for name, _ in events]
    assert (names[0], names[-2:]) == ("accepted", ["message", "end"])
    assert "".join(str(data["text"]) for name, data in events if name == "token") == "She is called Pepper."
    assert events[-2][1]["content"] == "She is called Pepper."
