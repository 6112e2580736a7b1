"""POST /api/v1/events with the clients that strangers have: the `cloudevents` SDK over httpx, and curl."""

import asyncio
import json
import shutil
from datetime import UTC, datetime

import httpx
import jsonschema
import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from gateway.bus import Bus
from tests.support.doorstep import CONTROL, SUBMITTED, Doorstep, Json, event
from tests.support.running_gateway import token

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENTS = "/api/v1/events"
STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}


def of_the_sdk(event_id: str) -> CloudEvent:
    attributes = {
        "id": event_id,
        "source": "/shop/ünïcode",
        "type": SUBMITTED,
        "time": datetime(2026, 1, 2, tzinfo=UTC),
        "datacontenttype": "application/json",
        "color": "red & blue",
    }
    return CloudEvent(attributes, {"spec": {"prompt": "Summarise: it rained."}})


async def send(http: httpx.AsyncClient, message: HTTPMessage) -> httpx.Response:
    return await http.post(EVENTS, headers=message.headers, content=message.body)


WRITERS = {"structured": to_structured_event, "binary": to_binary_event}


@pytest.mark.parametrize("mode", WRITERS)
async def test_what_the_sdk_writes_becomes_a_task(mode: str, doorstep: Doorstep) -> None:
    async with doorstep.http() as http:
        answer = await send(http, WRITERS[mode](of_the_sdk(mode)))
        assert answer.status_code == 202, answer.text
        task = await http.get(answer.headers["location"])
    assert task.json()["prompt"] == "Summarise: it rained."
    kept = await doorstep.kept(answer.json()["event_id"])
    assert (kept["ownerid"], kept["producersource"], kept["color"]) == ("alice", "/shop/ünïcode", "red & blue")


async def test_both_modes_say_the_same(doorstep: Doorstep) -> None:
    async with doorstep.http() as http:
        first = await send(http, to_structured_event(of_the_sdk("twice")))
        second = await send(http, to_binary_event(of_the_sdk("twice")))
    assert (second.status_code, second.json()) == (202, first.json())
    assert second.headers["idempotency-replayed"] == "true"


async def test_what_is_committed_is_not_published_again_however_late_it_is_repeated(
    doorstep: Doorstep, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with doorstep.http() as http:
        first = await send(http, to_structured_event(of_the_sdk("late")))
        monkeypatch.setattr(Bus, "publish", None)  # NATS would know the repeat for two minutes only
        second = await send(http, to_structured_event(of_the_sdk("late")))
        other = CloudEvent(of_the_sdk("late").get_attributes(), {"spec": {"prompt": "Summarise: it snowed."}})
        third = await send(http, to_structured_event(other))
    assert (second.status_code, second.json(), second.headers["idempotency-replayed"]) == (202, first.json(), "true")
    assert (third.status_code, third.json()["code"]) == (409, "idempotency_conflict")


async def test_curl_publishes(doorstep: Doorstep) -> None:
    curl = shutil.which("curl")
    assert curl is not None
    process = await asyncio.create_subprocess_exec(
        *(curl, "-sS", "--noproxy", "*", f"{doorstep.gateway.url}{EVENTS}", "-H", f"Authorization: Bearer {token()}"),
        *("-H", "Content-Type: application/json", "-H", "ce-specversion: 1.0", "-H", "ce-id: curl-1"),
        *("-H", "ce-source: /terminal", "-H", f"ce-type: {SUBMITTED}"),
        *("-d", json.dumps({"spec": {"prompt": "From a terminal"}})),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert json.loads(output)["outcome"] == "applied"


async def test_a_batch_is_answered_one_by_one(doorstep: Doorstep) -> None:
    batch = [event(id="one"), event(type="nobody.knows.this"), "no event", event(id="one"), event(data={"spec": {}})]
    async with doorstep.http() as http:
        answer = await http.post(EVENTS, json=batch, headers=BATCH)
    items = answer.json()["items"]
    assert (answer.status_code, [item["status"] for item in items]) == (200, [202, 422, 422, 202, 422])
    assert items[0]["receipt"]["task_id"] == items[3]["receipt"]["task_id"]
    assert items[1]["problem"]["code"] == "unknown_event_type"
    assert SUBMITTED in items[1]["problem"]["known_types"]


async def test_a_batch_has_bounds(doorstep: Doorstep) -> None:
    async with doorstep.http() as http:
        empty = await http.post(EVENTS, json=[], headers=BATCH)
        long = await http.post(EVENTS, json=[event()] * 101, headers=BATCH)
        single = await http.post(EVENTS, json=event(), headers=BATCH)
        large = await http.post(EVENTS, content=b"[" + b" " * 2**20 + b"]", headers=BATCH)
    assert (empty.status_code, empty.json()) == (200, {"items": []})
    assert (long.status_code, single.status_code, large.status_code) == (422, 422, 413)


async def test_a_webhook_asks_first_and_is_welcome(doorstep: Doorstep) -> None:
    headers = {"WebHook-Request-Origin": "eventemitter.example.com", "WebHook-Request-Rate": "120"}
    async with doorstep.gateway.client("") as anyone:
        answer = await anyone.options(EVENTS, headers=headers)
        plain = await anyone.options(EVENTS)
    assert (answer.status_code, answer.headers["allow"]) == (200, "OPTIONS, POST")
    assert answer.headers["webhook-allowed-origin"] == "eventemitter.example.com"
    assert answer.headers["webhook-allowed-rate"] == "*"
    assert "webhook-allowed-origin" not in plain.headers


async def test_its_trace_goes_on(doorstep: Doorstep) -> None:
    own, transport = (f"00-{digit * 32}-{digit * 16}-01" for digit in "ab")
    async with doorstep.http() as http:
        sent = await http.post(EVENTS, json=event(traceparent=own), headers={**STRUCTURED, "traceparent": transport})
        bare = await http.post(EVENTS, json=event(), headers={**STRUCTURED, "traceparent": transport})
    assert (await doorstep.kept(sent.json()["event_id"]))["traceparent"] == own
    assert (await doorstep.kept(bare.json()["event_id"]))["traceparent"] == transport


REFUSED: dict[str, tuple[dict[str, str], bytes, int, str]] = {
    "no token": ({**STRUCTURED, "authorization": ""}, b"{}", 401, "unauthorized"),
    "plain JSON": ({"content-type": "application/json"}, b"{}", 415, "unsupported_media_type"),
    "a form": ({"content-type": "application/x-www-form-urlencoded"}, b"a=b", 415, "unsupported_media_type"),
    "no JSON": (STRUCTURED, b"{", 400, "bad_json"),
    "a number": (STRUCTURED, b"1", 422, "invalid_event"),
    "not UTF-8 in a header": (
        {
            "content-type": "application/json",
            "ce-specversion": "1.0",
            "ce-id": "%ff",
            "ce-source": "/s",
            "ce-type": "t",
        },
        b"{}",
        422,
        "invalid_event",
    ),
    "no id in the headers": (
        {"content-type": "application/json", "ce-specversion": "1.0", "ce-source": "/s", "ce-type": "t"},
        b"{}",
        422,
        "invalid_request",
    ),
    "data that is XML": (
        {"content-type": "text/xml", "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": SUBMITTED},
        b"<a/>",
        400,
        "bad_json",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_no_event_is_refused(what: str, doorstep: Doorstep) -> None:
    headers, body, status, code = REFUSED[what]
    async with doorstep.http() as http:
        answer = await http.post(EVENTS, content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_header_given_twice_is_refused(doorstep: Doorstep) -> None:
    once = {"content-type": "application/json", "ce-specversion": "1.0", "ce-source": "/s", "ce-type": SUBMITTED}
    async with doorstep.http() as http:
        answer = await http.post(EVENTS, json={}, headers=[*once.items(), ("ce-id", "1"), ("ce-id", "2")])
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_event")


async def test_the_served_schemas_say_what_is_taken(doorstep: Doorstep) -> None:
    async with doorstep.http() as http:
        index = (await http.get("/schemas")).json()
        envelope = (await http.get(index["envelope"])).json()
        schemas = {item["type"]: (await http.get(item["schema"])).json() for item in index["items"]}
        unknown = await http.get("/schemas/order.placed/v1")
    assert unknown.status_code == 404
    assert {item["type"] for item in index["items"] if item["sent"]} >= {SUBMITTED, CONTROL}
    for schema in (envelope, *schemas.values()):
        jsonschema.Draft202012Validator.check_schema(schema)
    good: Json = event(color="red", number=7)
    jsonschema.validate(good, envelope)
    jsonschema.validate(good["data"], schemas[SUBMITTED])
    for bad in (event(id=""), event(specversion="2"), event(color={}), event(UPPER="x")):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, envelope)
    for data in ({}, {"spec": {"prompt": ""}}, {"spec": {"prompt": "x"}, "more": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(data, schemas[SUBMITTED])
