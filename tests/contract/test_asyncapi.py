"""/asyncapi.json is an AsyncAPI 3 document, and describes what the code sends.

The schema is the one the AsyncAPI Initiative publishes (Apache-2.0): @asyncapi/specs 6.11.1, `3.0.0-without-$id`.
"""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from pydantic import JsonValue

from events.base import CATALOGUE
from gateway.asyncapi import document, shown_events
from gateway.compat.routes import PATHS
from gateway.compat.vocabulary import AGENT_WORDS, SESSION_WORDS, SOCKETS, SYSTEM_WORDS, TASK_WORDS
from tests.support.described import check_described

HERE = Path(__file__).parent
SCHEMA = json.loads((HERE / "schemas" / "asyncapi-3.0.0.json").read_text())
WORDS = (HERE.parents[1] / "gateway" / "compat" / "words.py").read_text()


def test_the_document_fits_the_published_schema() -> None:
    faults = [f"{fault.json_path}: {fault.message[:200]}" for fault in Draft7Validator(SCHEMA).iter_errors(document())]
    assert not faults


def test_a_fault_in_the_document_would_be_found() -> None:
    broken = {**document(), "operations": {"tell": {"action": "shout", "channel": {"$ref": "#/channels/live"}}}}
    assert not Draft7Validator(SCHEMA).is_valid(broken)


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(document())
    for pointer in set(re.findall(r'"\$ref": "#/([^"]+)"', text)):
        place: object = document()
        for step in pointer.split("/"):
            assert isinstance(place, dict)
            assert step in place, pointer
            place = place[step]


def test_every_event_that_a_room_shows_is_described() -> None:
    messages = document()["channels"]["live"]["messages"]  # type: ignore[index]  # the document is plain JSON
    described = {name.removeprefix("event.") for name in messages if name.startswith("event.")}
    assert described == set(shown_events())
    hidden = {f"{payload.aggregate}.{payload.event_name}" for payload in CATALOGUE.values()} - described
    nobodys = {"run", "work", "letter"}  # a letter is its operator's, who asks over HTTP
    assert {name.partition(".")[0] for name in hidden} <= nobodys, "each aggregate belongs to a room"


@pytest.mark.parametrize("name", sorted(document()["components"]["messages"]))  # type: ignore[index]  # as above
def test_every_payload_is_a_schema(name: str) -> None:
    message = document()["components"]["messages"][name]  # type: ignore[index]  # as above
    Draft202012Validator.check_schema(message["payload"])


def test_the_compatibility_sockets_are_those_that_are_served() -> None:
    assert {socket.path for socket in SOCKETS} == set(PATHS)


def test_their_words_are_those_that_are_said() -> None:
    said = set(re.findall(r'"((?:session|agent|task|system)\.[a-z_]+)"', WORDS))
    ours = {
        "session.opened",
        "session.checkpointed",
        "task.submitted",
        "agent.changed",
        "task.assigned",
        "system.health",
    }
    assert said - ours <= {*SESSION_WORDS, *AGENT_WORDS, *TASK_WORDS, *SYSTEM_WORDS}
    assert {*SESSION_WORDS, *AGENT_WORDS, *TASK_WORDS} <= said


def test_a_frame_that_is_not_described_is_noticed() -> None:
    hello: dict[str, JsonValue] = {"type": "hello", "protocol": "ganglion.v1", "server": "ganglion"}
    check_described(hello)
    wrong_ones: list[dict[str, JsonValue]] = [
        {**hello, "extra": 1},
        {"type": "hello"},
        {"type": "gap", "id": "a", "from": "?", "to": "0"},
    ]
    for wrong in wrong_ones:
        with pytest.raises(AssertionError):
            check_described(wrong)
