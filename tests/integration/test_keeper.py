"""The keeper on a real bus and a real Postgres: what it makes of good, repeated, foreign and hostile events."""

import base64
import json
from collections.abc import AsyncGenerator
from uuid import uuid4

import orjson
import pytest
from prometheus_client import REGISTRY

from deploy.local.server import Server
from events import Event, RunFinished, RunStarted, TaskControl
from events.codec import encode
from events.ids import new_id
from tests.support.accounting import assert_accounted
from tests.support.eventually import eventually
from tests.support.running_keeper import Bus, a_bus, checked, decided, finished, named, started, submitted

HAPPY = ["ready", "assigned", "running", "succeeded"]


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        await bus.keeper()
        yield bus
        await assert_accounted(database_url)


def _entered() -> list[float]:
    """How often each status of a task that goes well was entered, as Prometheus is told."""
    name = "orchestrator_task_status_total"
    return [REGISTRY.get_sample_value(name, {"status": status}) or 0.0 for status in HAPPY]


def _ended() -> tuple[float, float]:
    """How many tasks have ended, and how long they took together, as Prometheus is told."""
    name = "orchestrator_task_processing_seconds"
    return REGISTRY.get_sample_value(f"{name}_count") or 0.0, REGISTRY.get_sample_value(f"{name}_sum") or 0.0


async def test_facts_take_a_task_from_submitted_to_its_result(bus: Bus) -> None:
    cause = await bus.submit()
    await bus.enters(cause.taskid, "submitted")
    for data, status in zip(
        (checked(cause), decided(cause), started(cause), finished(cause)),
        ("ready", "assigned", "running", "succeeded"),
        strict=True,
    ):
        await bus.say(cause, data)
        await bus.enters(cause.taskid, status)  # type: ignore[arg-type]  # literals, seen by eye
    await bus.folded()
    row = await bus.database.fetchrow("SELECT * FROM task WHERE id = $1", cause.taskid)
    run = await bus.database.fetchrow("SELECT * FROM run WHERE task_id = $1", cause.taskid)
    assert row is not None
    assert run is not None
    assert json.loads(row["result"]) == {"text": "done"}
    assert (row["version"], row["attempt"], row["correlation_id"]) == (5, 1, cause.id)
    assert row["finished_at"] >= row["created_at"]
    assert (run["status"], run["id"]) == ("succeeded", row["run_id"])
    assert run["started_at"] <= run["finished_at"]
    assert await bus.states(cause.taskid) == HAPPY
    states = [event for _, event in await bus.stream() if event["source"] == "/keeper"]
    assert [event["aggregateversion"] for event in states] == [2, 3, 4, 5]


async def test_what_was_said_before_the_keeper_came_is_folded_in_one_batch(
    module_nats_server: Server, database_url: str
) -> None:
    async with a_bus(module_nats_server.url, database_url) as bus:
        causes = [await bus.submit(f"Task {number}") for number in range(30)]
        for cause in causes:
            await bus.run_through(cause)
        before, ended_before = _entered(), _ended()
        await bus.keeper()
        await bus.folded()
        assert {await bus.status(cause.taskid) for cause in causes} == {"succeeded"}
        assert [await bus.states(cause.taskid) for cause in causes[:3]] == [HAPPY] * 3
        assert [now - was for now, was in zip(_entered(), before, strict=True)] == [30.0] * 4
        took = "SELECT sum(extract(epoch FROM finished_at - created_at))::float FROM task"
        ended, seconds = (now - was for now, was in zip(_ended(), ended_before, strict=True))
        assert ended == 30.0
        assert seconds == pytest.approx(await bus.database.fetchval(took))
        assert await assert_accounted(database_url) == 30 * 9


async def test_an_event_twice_past_the_dedupe_window_counts_once(bus: Bus) -> None:
    cause = await bus.submit()
    await bus.run_through(cause)
    await bus.folded()
    for _, event in list(await bus.stream()):
        body = orjson.dumps(event)
        await (await bus.publisher.send_bytes("bus.t.task.submitted.0", body, str(new_id())))
    await bus.folded()
    assert await bus.states(cause.taskid) == HAPPY * 2  # as the test said them again
    assert await bus.database.fetchval("SELECT count(*) FROM event_repeat") == 9
    assert await bus.database.fetchval("SELECT version FROM task") == 5


async def test_a_repeat_in_the_same_batch_does_not_hide_the_outcome(
    module_nats_server: Server, database_url: str
) -> None:
    async with a_bus(module_nats_server.url, database_url) as bus:
        cause = await bus.submit()
        await bus.again(cause)
        await bus.keeper()
        await bus.folded()
        await eventually(lambda: cause.id in bus.announced)
        assert bus.announced[cause.id] == "applied"


async def test_requests_are_announced_with_what_became_of_them(bus: Bus) -> None:
    cause = await bus.submit()
    again = await bus.say(cause, submitted().data.model_copy(update={"task_id": cause.taskid}), source="/gateway")
    assert cause.taskid is not None
    control = TaskControl(task_id=cause.taskid, action="cancel", by="o")
    first, second = [await bus.say(cause, control, seed=seed, source="/gateway") for seed in "12"]
    await eventually(lambda: second.id in bus.announced)
    assert [bus.announced[event.id] for event in (cause, again, first, second)] == [
        "applied",
        "refused:task_exists",
        "applied",
        "refused:task_final",
    ]
    assert await bus.status(cause.taskid) == "cancelled"


async def test_a_task_that_ended_is_not_born_again_by_another_event(bus: Bus) -> None:
    """It is taken for new at first: nothing is loaded for what nearly always is."""
    cause = await bus.submit()
    await bus.run_through(cause)
    await bus.enters(cause.taskid, "succeeded")
    new = await bus.submit("beside it in the batch")
    again = await bus.say(cause, submitted().data.model_copy(update={"task_id": cause.taskid}), source="/gateway")
    await bus.folded()
    assert await bus.outcome(again) == "refused:task_exists"
    assert [await bus.status(event.taskid) for event in (cause, new)] == ["succeeded", "submitted"]


async def test_a_second_execution_changes_nothing(bus: Bus) -> None:
    cause = await bus.submit()
    for data in (checked(cause), decided(cause), started(cause)):
        await bus.say(cause, data)
    other: dict[str, object] = {"execution_id": uuid4()}
    late = await bus.say(cause, started(cause, **other), seed="other")
    lie = await bus.say(cause, finished(cause, "succeeded", output={"text": "a lie"}, **other), seed="other")
    await bus.say(cause, finished(cause))
    await bus.enters(cause.taskid, "succeeded")
    assert [await bus.outcome(event) for event in (late, lie)] == ["refused:already_started", "refused:other_execution"]
    assert json.loads(await bus.database.fetchval("SELECT result FROM task")) == {"text": "done"}


async def test_another_tenant_cannot_move_a_task(bus: Bus) -> None:
    cause = await bus.submit()
    assert cause.taskid is not None
    control = TaskControl(task_id=cause.taskid, action="cancel", by="x")
    foreign = Event.first(control, source="/gateway", tenant="u", owner="o", task_id=cause.taskid)
    await bus.publisher.publish(foreign)
    await bus.folded()
    assert await bus.outcome(foreign) == "refused:foreign_tenant"
    assert await bus.status(cause.taskid) == "submitted"


async def test_an_unknown_type_is_kept_and_harms_nothing(bus: Bus) -> None:
    attributes = json.loads(encode(submitted())) | {"type": "io.ganglion.task.dreamt.v1"}
    body = json.dumps(attributes).encode()
    ack = await (await bus.publisher.send_bytes("bus.t.task.dreamt.0", body, "dreamt"))
    await bus.folded()
    row = await bus.database.fetchrow("SELECT outcome, body FROM event_log WHERE seq = $1", ack.seq)
    assert row is not None
    assert (row["outcome"], row["body"]) == ("unknown", body)


HOSTILE = {
    "no JSON": b"\xff\x00{",
    "empty": b"",
    "a lone surrogate": b'{"specversion":"1.0","id":"\\ud800"}',
    "deep": b"[" * 50_000,
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_bytes_that_are_no_event_are_kept_and_buried(bus: Bus, name: str) -> None:
    ack = await (await bus.publisher.send_bytes("bus.t.task.submitted.0", HOSTILE[name], name))
    cause = await bus.submit()
    await bus.enters(cause.taskid, "submitted")
    row = await bus.database.fetchrow("SELECT outcome, body FROM event_log WHERE seq = $1", ack.seq)
    assert row is not None
    assert (row["outcome"], row["body"]) == ("poison", HOSTILE[name])
    letter = json.loads(await _only_letter(bus))
    assert letter["cursor"].endswith(f"-{ack.seq}")
    assert base64.b64decode(letter["body"]) == HOSTILE[name]


async def _only_letter(bus: Bus) -> bytes:
    async def letter() -> bytes:
        assert (await bus.client.jetstream().stream_info("DLQ")).state.messages == 1
        return (await bus.client.jetstream().get_msg("DLQ", seq=1)).data or b""

    return await eventually(letter)


@pytest.mark.parametrize("value", [b"raw \xe9", b"caf\xc3\xa9", b"=?utf-8?q?x?=", b"%ff"])
async def test_hostile_headers_stop_nobody(bus: Bus, value: bytes) -> None:
    """Written by hand: our own client would never send such bytes."""
    header = b"NATS/1.0\r\nce-specversion: 1.0\r\nce-subject: " + value + b"\r\n\r\n"
    command = b"HPUB bus.t.task.submitted.0 %d %d\r\n%b{}\r\n" % (len(header), len(header) + 2, header)
    await bus.client._send_command(command)
    await bus.client._flush_pending()
    cause = await bus.submit()
    await bus.enters(cause.taskid, "submitted")
    assert await bus.database.fetchval("SELECT outcome FROM event_log WHERE seq = 1") == "poison"


@pytest.mark.parametrize("token", [b"\xff", b"x\v1", b"x" * 4_000], ids=["no UTF-8", "a space of sorts", "long"])
async def test_a_subject_that_nobody_can_read_stops_nobody(bus: Bus, token: bytes) -> None:
    await bus.client._send_command(b"PUB bus.t.%b.submitted.0 2\r\n{}\r\n" % token)
    await bus.client._flush_pending()
    cause = await bus.submit()
    await bus.enters(cause.taskid, "submitted")
    assert await bus.database.fetchval("SELECT outcome FROM event_log WHERE seq = 1") == "poison"
    assert json.loads(await _only_letter(bus))["subject"] == f"bus.t.{token.decode(errors='replace')}.submitted.0"


async def test_nul_and_numbers_beyond_64_bits_in_a_result_wedge_nothing(bus: Bus) -> None:
    cause = await bus.submit("a \0 in it", metadata={"k\0": ["\0", 2**70]})
    for data in (checked(cause), decided(cause), started(cause)):
        await bus.say(cause, data)
    output = {"text": "a\0b", "\0": {"deep": ["\0", None, 10**400, -(2**70), 1.5]}}
    await bus.say(cause, finished(cause, output=output))
    await bus.enters(cause.taskid, "succeeded")
    assert cause.taskid is not None
    late = await bus.say(cause, TaskControl(task_id=cause.taskid, action="cancel", by="o"))
    await bus.folded()
    assert await bus.outcome(late) == "refused:task_final"
    result = json.loads(await bus.database.fetchval("SELECT result FROM task"))
    assert result == {"text": "a\ufffdb", "\ufffd": {"deep": ["\ufffd", None, 10**400, -(2**70), 1.5]}}
    assert json.loads(await bus.database.fetchval("SELECT spec FROM task"))["metadata"] == {
        "k\ufffd": ["\ufffd", 2**70]
    }


async def test_one_row_that_postgres_refuses_does_not_cost_the_others(
    module_nats_server: Server, database_url: str
) -> None:
    async with a_bus(module_nats_server.url, database_url) as bus:
        before, culprit, behind = [await bus.submit(name) for name in ("before", "culprit", "behind")]
        await bus.say(before, checked(before))
        bad = await bus.say(culprit, checked(culprit, us=2**31))
        await bus.say(behind, checked(behind))
        await bus.keeper()
        await bus.folded()
        assert [await bus.status(c.taskid) for c in (before, culprit, behind)] == ["ready", "failed", "ready"]
        assert await bus.outcome(bad) == "poison"
        error = json.loads(await bus.database.fetchval("SELECT error FROM task WHERE id = $1", culprit.taskid))
        assert error["code"] == "internal_error"
        assert await bus.states(culprit.taskid) == ["failed"]
        letter = json.loads(await _only_letter(bus))
        assert (letter["event_id"], letter.get("body")) == (bad.id, None)
        await bus.again(bad)
        await bus.folded()
        await assert_accounted(database_url)


async def test_a_sum_that_no_row_can_hold_does_not_cost_the_others(bus: Bus) -> None:
    """Each of the two is a number as Postgres has them, and so is what the runs' rows say."""
    culprit, behind = await bus.submit("culprit"), await bus.submit("behind")
    again = {"code": "tired", "message": "Not now.", "retryable": True}
    for attempt in (1, 2):
        run = named(culprit, attempt)
        facts = [decided(culprit, attempt), RunStarted.model_validate(run)]
        facts = [checked(culprit), *facts] if attempt == 1 else facts
        spent = RunFinished.model_validate({**run, "outcome": "failed", "error": again, "usage": {"tokens": -(2**63)}})
        retry = TaskControl(task_id=spent.task_id, action="retry", by="o", attempt=1)
        for data in (*facts, spent, *([retry] if attempt == 1 else ())):
            await bus.say(culprit, data, seed=f"{attempt}")
    await bus.run_through(behind)
    await bus.folded()
    assert [await bus.status(cause.taskid) for cause in (culprit, behind)] == ["failed", "succeeded"]
    assert await bus.database.fetchval("SELECT reason FROM task WHERE id = $1", culprit.taskid) == "internal_error"


async def test_a_result_too_large_for_a_state_event_blocks_nobody(bus: Bus) -> None:
    names = [f"capability-{number}-{'x' * 40}" for number in range(10)]
    large, behind = await bus.submit("large", required_capabilities=names), await bus.submit("behind")
    for cause in (large, behind):
        for data in (checked(cause), decided(cause), started(cause)):
            await bus.say(cause, data)
    await bus.say(large, finished(large, output={"text": "x" * 1_047_300}))
    await bus.say(behind, finished(behind))
    await bus.folded()
    assert await bus.states(large.taskid) == await bus.states(behind.taskid) == HAPPY
    assert await bus.database.fetchval("SELECT length(result ->> 'text') FROM task WHERE id = $1", large.taskid) > 10**6


async def test_an_event_named_like_a_place_in_the_log_collides_with_nothing(bus: Bus) -> None:
    """Undecodable bytes are kept under a name made of their place: nobody may take that name first."""
    epoch = await eventually(lambda: bus.database.fetchval("SELECT epoch FROM keeper WHERE epoch <> ''"))
    await bus.publisher.publish(submitted().model_copy(update={"source": "?", "id": f"{epoch}-2"}))
    await (await bus.publisher.send_bytes("bus.t.task.submitted.0", b"{", "garbage"))
    cause = await bus.submit()
    await bus.enters(cause.taskid, "submitted")


async def test_a_hole_in_the_stream_is_a_gap_and_never_a_silent_step(
    module_nats_server: Server, database_url: str
) -> None:
    async with a_bus(module_nats_server.url, database_url) as bus:
        causes = [await bus.submit(f"Task {number}") for number in range(6)]
        await bus.say(causes[4], checked(causes[4]))
        await bus.submit("the last, which is lost")
        js = bus.client.jetstream()
        for seq in (1, 3, 4, 6, 8):
            await js.delete_msg("BUS", seq)
        await bus.keeper()
        await bus.enters(causes[4].taskid, "ready")
        await bus.folded()  # which the keeper is only if it published although the last sequence never comes
        gaps = await bus.database.fetch("SELECT first_seq, last_seq FROM event_gap ORDER BY 1")
        assert [tuple(gap) for gap in gaps] == [(1, 1), (3, 4), (6, 6), (8, 8)]
        assert [await bus.status(cause.taskid) for cause in causes] == [None, "submitted", None, None, "ready", None]
        await assert_accounted(database_url)


async def test_state_events_follow_each_other_in_the_order_of_their_causes(bus: Bus) -> None:
    causes = [await bus.submit(f"Task {number}") for number in range(20)]
    for cause in causes:
        await bus.say(cause, checked(cause))
    await bus.folded()
    ready = [event["subject"] for _, event in await bus.stream() if event["source"] == "/keeper"]
    assert ready == [str(cause.taskid) for cause in causes]
