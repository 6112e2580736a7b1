"""The sweep asks the consumer whose work a task waits for how far it has come."""

from uuid import uuid4

import pytest

from consumers.keeper.sweep import _driver
from events.task import Status
from storage.janitor import Stuck


@pytest.mark.parametrize(
    ("status", "agent_id", "consumer"),
    [
        ("submitted", None, "reflex"),
        ("ready", None, "router"),
        ("ready", "AGENT-BEFORE", "router"),
        ("assigned", "extractive", "runner"),
        ("assigned", "spec-engine", "spec_engine"),
        ("assigned", "AGENT-MINE", "dispatch"),
        ("assigned", "AGENT-CALLED", "push"),
    ],
)
def test_each_state_has_its_consumer(status: Status, agent_id: str | None, consumer: str) -> None:
    stuck = Stuck(uuid4(), status, agent_id, unrouted=False, pushed=consumer == "push", epoch="epoch", seq=1)
    assert _driver(stuck) == consumer
