"""What a body may hold, beyond what the OpenAPI tests try."""

import json

import pytest

from gateway.errors import InvalidBodyError
from gateway.http.bodies import read_body
from gateway.sessions.requests import CreateSessionRequest
from gateway.tasks.requests import SubmitRequest, TaskRequest

BODIES = [
    (SubmitRequest, {"goal": "Summarise it."}),
    (TaskRequest, {"prompt": "Summarise it."}),
    (CreateSessionRequest, {"title": "Fix-It", "initial_prompt": "Find out why."}),
]


@pytest.mark.parametrize(("model", "body"), BODIES)
@pytest.mark.parametrize("priority", [True, False, 5, 1.5, "1", "urgent", None])
def test_a_priority_is_one_of_the_words_and_numbers_of_the_documents(
    model: type[SubmitRequest | TaskRequest | CreateSessionRequest], body: dict[str, str], priority: object
) -> None:
    with pytest.raises(InvalidBodyError) as refused:
        read_body(model, json.dumps({**body, "priority": priority}).encode())
    assert {fault["field"].partition(".")[0] for fault in refused.value.faults} == {"priority"}
    for good in (0, 4, 1.0, "blocker", "deferred"):
        read_body(model, json.dumps({**body, "priority": good}).encode())
