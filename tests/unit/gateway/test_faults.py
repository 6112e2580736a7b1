"""Where a request is wrong, in the words of who sent it."""

import json

import pytest
from pydantic import BaseModel

from gateway.agents.requests import RegisterAgentRequest
from gateway.errors import InvalidBodyError
from gateway.http.bodies import read_body
from gateway.tasks.requests import SubmitRequest, TaskRequest


def fields_of(model: type[BaseModel], body: object) -> set[str]:
    with pytest.raises(InvalidBodyError) as caught:
        read_body(model, json.dumps(body).encode())
    return {fault["field"] for fault in caught.value.faults}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"prompt": "x", "context": {"text": 5}}, {"context", "context.text"}),
        ({"prompt": "x", "context": {"refs": ["a", 7]}}, {"context", "context.refs.1"}),
        ({"prompt": "x", "context": {"nothing": 1}}, {"context", "context.nothing"}),
        ({"prompt": "x", "context": {"ContextBody": 1}}, {"context", "context.ContextBody"}),
        (
            {"prompt": "x", "depends_on": [{"required": 7}]},
            {f"depends_on.0{way}" for way in ("", ".task_id", ".required")},
        ),
        ({"prompt": "x", "budget": {"max_tokens": 0}}, {"budget.max_tokens"}),
        ({"goal": 7}, {"goal"}),
        ({}, {"prompt"}),
        ([], {"body"}),
    ],
)
def test_a_fault_is_where_the_sender_put_it(body: object, fields: set[str]) -> None:
    assert fields_of(TaskRequest, body) == fields


def test_what_is_missing_is_named_and_what_is_too_much() -> None:
    assert fields_of(SubmitRequest, {"more": {"and": "more"}}) == {"goal", "more"}


@pytest.mark.parametrize(
    ("capabilities", "fields"),
    [
        (["a b"], {"capabilities", "capabilities.0"}),
        ({"a b": 1}, {"capabilities", "capabilities.a b"}),
        ({"a": 3}, {"capabilities", "capabilities.a"}),
        (5, {"capabilities"}),
    ],
)
def test_no_name_of_a_type_is_a_place(capabilities: object, fields: set[str]) -> None:
    assert fields_of(RegisterAgentRequest, {"name": "AGENT-A", "capabilities": capabilities}) == fields
