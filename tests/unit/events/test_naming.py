"""The agent of an event, read from its bytes: the one that decoding would find, whatever the texts around it say."""

from uuid import uuid4

import pytest

from consumers.dispatch import Dispatch
from consumers.spec_engine.consumer import SpecEngine
from events.agent import agent_named_in
from events.base import Event
from events.codec import encode
from events.streams import ENGINE_AGENT
from events.task import TaskAssigned
from tests.support.live import entered


def assigned(agent_id: str | None, **more: object) -> bytes:
    """An assignment as the keeper writes it."""
    values = {"task_id": uuid4(), "kind": "goal", "from_status": "ready", "version": 3, "attempt": 1}
    data = TaskAssigned.model_validate({**values, "agent_id": agent_id, **more})
    return encode(Event.first(data, source="/keeper", tenant="acme", owner="o"))


@pytest.mark.parametrize("agent_id", ["AGENT-ECHO", "extractive", ENGINE_AGENT])
def test_it_is_the_one_of_the_event_and_none_that_a_text_names(agent_id: str) -> None:
    hostile = '{"agent_id":"AGENT-EVIL"}, "agent_id":"AGENT-EVIL"'
    body = assigned(agent_id, detail=hostile, required_capabilities=["answer"])
    assert agent_named_in(body) == agent_id
    assert Dispatch.concerned(body) == (agent_id == "AGENT-ECHO")
    assert SpecEngine.concerned(body) == (agent_id == ENGINE_AGENT)


def test_what_names_nobody_is_read_by_everyone() -> None:
    body = assigned(None)
    assert agent_named_in(body) == ""
    assert Dispatch.concerned(body)
    assert SpecEngine.concerned(body)


def test_the_states_of_an_outside_agent_concern_the_dispatch() -> None:
    active = entered("AGENT-ECHO", outside=True)
    assert Dispatch.concerned(encode(Event.first(active, source="/keeper", tenant="acme", owner="o")))
