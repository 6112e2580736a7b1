"""The codec: what is written is read back, both modes are read, and nothing hostile gets further than its error."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events import CATALOGUE, Event, EventData, RunFinished, TaskChecked, TaskSpec, TaskSubmitted
from events.codec import CONTENT_TYPE, MSG_ID, STRUCTURED, decode, decode_structured, encode, headers_for
from events.errors import InvalidEventError, UnknownEventTypeError
from tests.support.payloads import JSON, events

TASK = UUID("0192f0c1-0000-7000-8000-000000000001")
Edit = Callable[[dict[str, object]], object]


def submitted(prompt: str = "Summarise the incident.") -> Event[EventData]:
    return Event.first(
        TaskSubmitted(task_id=TASK, spec=TaskSpec(prompt=prompt)),
        source="/gateway",
        tenant="t",
        owner="o",
        task_id=TASK,
    )


def attributes_of(event: Event[EventData]) -> dict[str, object]:
    found = json.loads(encode(event))
    assert isinstance(found, dict)
    return found


def binary(event: Event[EventData]) -> tuple[bytes, dict[str, str]]:
    """As a foreign producer would write it: every attribute a ce- header, the data as the body."""
    attributes = attributes_of(event)
    body = json.dumps(attributes.pop("data")).encode()
    return body, {f"ce-{name}": quote(str(value), safe="!#$&'()*+,/:;=?@[]") for name, value in attributes.items()}


@pytest.mark.parametrize("payload", CATALOGUE.values(), ids=lambda payload: payload.event_type)
def test_every_event_class_survives_the_wire(payload: type[EventData]) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(events(payload))
    def survives(event: Event[EventData]) -> None:
        assert decode(encode(event), headers_for(event)) == event

    survives()


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_every_json_value_comes_back_as_it_was(value: object) -> None:
    ids = {"run_id": uuid4(), "task_id": TASK, "attempt": 1, "execution_id": uuid4(), "agent_id": "a"}
    data = RunFinished.model_validate({**ids, "outcome": "succeeded", "output": {"value": value}})
    event = Event.first(data, source="/s", tenant="t", owner="o")
    back = decode_structured(encode(event)).data
    assert isinstance(back, RunFinished)
    assert back.output == {"value": value}
    assert json.dumps(back.output) == json.dumps({"value": value})  # 1 is not 1.0 is not true


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events())
def test_binary_mode_reads_as_the_same_event(event: Event[EventData]) -> None:
    body, headers = binary(event)
    shouted = {name.upper(): value for name, value in headers.items()}
    assert decode(body, headers) == decode(body, shouted) == event


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events())
def test_the_sdk_reads_what_we_write(event: Event[EventData]) -> None:
    event = event if event.time else event.model_copy(update={"time": datetime.now(UTC)})  # the SDK would add one
    theirs = JSONFormat().read(CloudEvent, encode(event))
    expected = event.model_dump(mode="json", exclude_none=True)
    data = expected.pop("data")
    seen = dict(theirs.get_attributes())
    assert seen.pop("time", None) == event.time
    expected.pop("time", None)
    assert {name: _plain(value) for name, value in seen.items()} == {n: _plain(v) for n, v in expected.items()}
    assert theirs.get_data() == data


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events())
def test_we_read_what_the_sdk_writes(event: Event[EventData]) -> None:
    event = event if event.time else event.model_copy(update={"time": datetime.now(UTC)})  # the SDK would add one
    attributes = {name: value for name, value in dict(event).items() if name != "data" and value is not None}
    if event.taskid is not None:
        attributes["taskid"] = str(event.taskid)
    theirs = CloudEvent(attributes, event.data.model_dump(mode="json"))
    assert decode_structured(JSONFormat().write(theirs)) == event


def _plain(value: object) -> str:
    return str(value)


def test_absent_attributes_are_left_out() -> None:
    attributes = attributes_of(submitted())
    assert None not in attributes.values()
    assert "sessionid" not in attributes


def test_the_headers_name_the_mode_and_let_the_stream_drop_a_repeat() -> None:
    event = submitted()
    assert headers_for(event) == {CONTENT_TYPE: STRUCTURED, MSG_ID: event.id}


def test_unknown_extensions_are_kept() -> None:
    attributes = attributes_of(submitted()) | {"partnerkey": "a b", "partnercount": 7, "partnerflag": True}
    again = attributes_of(decode(json.dumps(attributes).encode()))
    assert {name: again[name] for name in ("partnerkey", "partnercount", "partnerflag")} == {
        "partnerkey": "a b",
        "partnercount": 7,
        "partnerflag": True,
    }


def test_unknown_data_fields_do_not_hinder_an_older_reader() -> None:
    attributes = attributes_of(submitted())
    data = attributes["data"]
    assert isinstance(data, dict)
    attributes["data"] = {**data, "added_in_a_later_version": 1}
    assert decode(json.dumps(attributes).encode()).data == submitted().data


@pytest.mark.parametrize(
    "content_type", ["application/cloudevents+json", "Application/CloudEvents+JSON; charset=utf-8"]
)
def test_structured_mode_wins_over_stray_binary_headers(content_type: str) -> None:
    event = submitted()
    headers = {"Content-Type": content_type, "ce-specversion": "1.0", "ce-id": "another"}
    assert decode(encode(event), headers).id == event.id


def test_a_body_without_headers_is_structured() -> None:
    event = submitted()
    assert decode(encode(event)) == decode(encode(event), None) == decode(encode(event), {}) == event


EDITS: dict[str, Edit] = {
    "no specversion": lambda a: a.pop("specversion"),
    "an old specversion": lambda a: a.update(specversion="0.3"),
    "a specversion that is a number": lambda a: a.update(specversion=1.0),
    "no id": lambda a: a.pop("id"),
    "an empty id": lambda a: a.update(id=""),
    "an id that is a number": lambda a: a.update(id=5),
    "an id too long": lambda a: a.update(id="x" * 256),
    "a NUL in the id": lambda a: a.update(id="a\0b"),
    "a line break in the id": lambda a: a.update(id="a\r\nNats-Expected-Stream: TOK"),
    "no source": lambda a: a.pop("source"),
    "a source too long": lambda a: a.update(source="/" * 256),
    "a NUL in the source": lambda a: a.update(source="/a\0"),
    "a subject too long": lambda a: a.update(subject="s" * 256),
    "a correlation id too long": lambda a: a.update(correlationid="c" * 256),
    "a NUL in the correlation id": lambda a: a.update(correlationid="\0"),
    "a causation id too long": lambda a: a.update(causationid="c" * 256),
    "a traceparent too long": lambda a: a.update(traceparent="0" * 256),
    "no type": lambda a: a.pop("type"),
    "a type that is a list": lambda a: a.update(type=["task"]),
    "no tenant": lambda a: a.pop("tenantid"),
    "a wildcard as the tenant": lambda a: a.update(tenantid="*"),
    "a dotted tenant": lambda a: a.update(tenantid="a.b"),
    "a line break after the tenant": lambda a: a.update(tenantid="a\n"),
    "a long owner": lambda a: a.update(ownerid="o" * 65),
    "a session that is a path": lambda a: a.update(sessionid="../x"),
    "a task id that is no UUID": lambda a: a.update(taskid="1"),
    "a time without a zone": lambda a: a.update(time="2026-01-01T00:00:00"),
    "hops below zero": lambda a: a.update(hopcount=-1),
    "hops beyond any column": lambda a: a.update(hopcount=2**40),
    "no data": lambda a: a.pop("data"),
    "data that is a text": lambda a: a.update(data="x"),
    "data without its fields": lambda a: a.update(data={}),
    "data in base64": lambda a: a.update(data=None, data_base64="e30="),
    "an extension that is an object": lambda a: a.update(partnerkey={"a": 1}),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_broken_envelope_is_an_invalid_event(name: str) -> None:
    attributes = attributes_of(submitted())
    EDITS[name](attributes)
    with pytest.raises(InvalidEventError) as caught:
        decode(json.dumps(attributes).encode())
    assert caught.value.code == "invalid_event"


BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "null": b"null",
    "invalid UTF-8": b'{"specversion":"1.0","id":"\xff\xfe"}',
    "a lone surrogate": b'{"specversion":"1.0","id":"\\ud800"}',
    "a surrogate in bytes": b'{"specversion":"1.0","id":"\xed\xa0\x80"}',
    "a raw NUL": b'{"id":"\0"}',
    "very deep": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "a number of 10,000 digits": b'{"hopcount":' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("name", BODIES)
def test_bytes_that_are_no_event_are_an_invalid_event(name: str) -> None:
    with pytest.raises(InvalidEventError):
        decode(BODIES[name])


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_numbers_that_json_does_not_know_are_refused(number: bytes) -> None:
    body = encode(submitted()).replace(b'"metadata":{}', b'"metadata":{"n":' + number + b"}")
    assert number in body
    with pytest.raises(InvalidEventError):
        decode(body)


@given(st.binary(max_size=200), st.dictionaries(st.text(max_size=12), st.text(max_size=20), max_size=4))
def test_no_bytes_and_headers_raise_anything_else(body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidEventError):
        decode(body, headers)
    with pytest.raises(InvalidEventError):
        decode(body, {**headers, "ce-specversion": "1.0"})


def test_an_unknown_type_is_told_from_broken_bytes() -> None:
    attributes = attributes_of(submitted()) | {"type": "io.ganglion.task.dreamt.v1"}
    with pytest.raises(UnknownEventTypeError) as caught:
        decode(json.dumps(attributes).encode())
    assert caught.value.code == "unknown_event_type"


@pytest.mark.parametrize("name", ["ce-id", "ce-source", "ce-type", "ce-tenantid", "ce-ownerid", "ce-correlationid"])
def test_a_binary_event_without_a_required_header_is_invalid(name: str) -> None:
    body, headers = binary(submitted())
    del headers[name]
    with pytest.raises(InvalidEventError):
        decode(body, headers)


@pytest.mark.parametrize("value", ["%ff", "%ed%a0%80", "\udcff", "caf\udce9"])
def test_a_header_that_is_not_utf8_is_invalid(value: str) -> None:
    body, headers = binary(submitted())
    with pytest.raises(InvalidEventError):
        decode(body, headers | {"ce-subject": value})


def test_the_same_header_twice_is_invalid() -> None:
    body, headers = binary(submitted())
    with pytest.raises(InvalidEventError):
        decode(body, headers | {"CE-ID": "another"})


def test_a_header_cannot_smuggle_data_in() -> None:
    body, headers = binary(submitted("The body counts."))
    data = decode(body, headers | {"ce-data": '{"task_id": "x"}'}).data
    assert isinstance(data, TaskSubmitted)
    assert data.spec.prompt == "The body counts."


def test_percent_encoding_and_plain_unicode_are_both_read() -> None:
    body, headers = binary(submitted())
    assert decode(body, headers | {"ce-subject": "Euro%20%E2%82%AC%20%F0%9F%98%80"}).subject == "Euro € 😀"
    assert decode(body, headers | {"ce-subject": "Euro €"}).subject == "Euro €"


def test_text_that_is_no_unicode_is_refused_on_writing() -> None:
    with pytest.raises(InvalidEventError):
        encode(submitted("half of a \ud83d"))


def test_an_error_never_quotes_what_it_refused() -> None:
    attributes = attributes_of(submitted())
    attributes["data"] = {"task_id": "4111 1111 1111 1111", "spec": {"prompt": 7}}
    with pytest.raises(InvalidEventError) as caught:
        decode(json.dumps(attributes).encode())
    assert "4111" not in caught.value.detail


def test_findings_hold_no_text_field() -> None:
    fields = TaskChecked.model_json_schema()["$defs"]["Finding"]["properties"]
    assert set(fields) == {"family", "type", "severity", "field", "start", "end", "confidence"}
