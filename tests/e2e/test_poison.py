"""Text that JSON, UTF-8 or Postgres cannot hold wedges nothing: what can be kept is kept, and all else goes on."""

import uuid

import pytest

from producers.connect import BusSettings, Connection
from tests.support import kill_points as points
from tests.support.eventually import eventually
from tests.support.stack_load import TEXT
from tests.support.stack_parts import Parts
from tests.support.stack_proof import Proof

_EVENT = (
    '{"specversion":"1.0","id":"%s","source":"/outside","type":"io.ganglion.task.control.v1","tenantid":"acme",'
    '"ownerid":"x","taskid":"01a1fcd0-be56-72cd-8bdd-2b0519222866","correlationid":"c","data":{%s}}'
)
_ABOUT = '"task_id":"01a1fcd0-be56-72cd-8bdd-2b0519222866","action":"cancel","by":"x","reason":'
STRANGE = {
    "no JSON": b"\0\0\0",
    "no UTF-8": b'{"specversion":"1.0","id":"\xff\xfe"}',
    "a lone surrogate": (_EVENT % ("s", _ABOUT + '"\\ud800"')).encode(),
    "NUL in a text": (_EVENT % ("n", _ABOUT + '"\\u0000"')).encode(),
    "NUL in the id": (_EVENT % ("i\\u0000d", _ABOUT + '"r"')).encode(),
    "a wrong type": (_EVENT % ("t", '"task_id":7')).encode(),
    "a list as the id": (_EVENT % ("l", _ABOUT + '"r"')).replace('"id":"l"', '"id":["l"]').encode(),
    "deep data": (_EVENT % ("d", _ABOUT + '"r","more":' + '{"a":' * 300 + "1" + "}" * 300)).encode(),
    "an unknown type": b'{"specversion":"1.0","id":"u","source":"/o","type":"io.example.other.v1"}',
    "deep nesting": b"[" * 20_000,
    "nothing": b"",
}


async def test_an_agents_result_with_nul_and_lone_surrogates_is_shown_and_holds_up_nobody(parts: Parts) -> None:
    async with parts.client(f"o-{uuid.uuid4().hex[:12]}") as client, Proof(parts) as proof:
        parts.points.arm(points.STRANGE_RESULT)
        strange, plain = [
            (await client.post("/api/v1/tasks", json={"prompt": TEXT}, headers={"Prefer": "wait=20"})).json()
            for _ in range(2)
        ]
        assert not parts.points.is_armed(points.STRANGE_RESULT)
        assert (strange["status"], plain["status"]) == ("succeeded", "succeeded")
        assert strange["result"]["text"] == "a\ufffdb?c"
        assert (await client.get(f"/api/v1/tasks/{strange['task_id']}/events")).status_code == 200
        await proof.every_sequence_is_accounted_for()


@pytest.mark.parametrize("body", STRANGE.values(), ids=STRANGE)
async def test_an_event_that_cannot_be_understood_is_noted_and_the_next_task_succeeds(
    parts: Parts, body: bytes
) -> None:
    settings = BusSettings.model_validate({"nats_url": parts.servers.nats_url})
    async with Connection(settings, "outsider") as outsider, Proof(parts) as proof:
        ack = await outsider.jetstream().publish("bus.acme.task.control.1", body)
        outcome = await eventually(lambda: proof.outcome_at(ack.seq), within=20)
        assert outcome in {"poison", "unknown", "duplicate", "refused:unknown_task"}
        async with parts.client(f"o-{uuid.uuid4().hex[:12]}") as client:
            answer = await client.post("/api/v1/tasks", json={"prompt": TEXT}, headers={"Prefer": "wait=20"})
        assert answer.json()["status"] == "succeeded"
        await proof.every_sequence_is_accounted_for()
