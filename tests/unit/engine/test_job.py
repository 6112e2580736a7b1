"""A job is read the same whichever way it comes."""

import json

from engine.job import read_job
from tests.support.running_engine import job


def test_a_number_of_any_size_is_taken_in_a_cloudevent_as_in_plain_json() -> None:
    said = job("j")
    said["agent_definition"] = {"name": "spec", "seed": 2**70}
    event = {"specversion": "1.0", "id": "1", "source": "/test", "type": "dev.my-platform.agent.execute", "data": said}
    plain = read_job({"content-type": "application/json"}, json.dumps(said).encode())
    assert read_job({"content-type": "application/cloudevents+json"}, json.dumps(event).encode()) == plain
    assert plain.agent_definition["seed"] == 2**70
