"""The door over NATS, from outside: plain nats-py and a Ganglion token, nothing of ours imported by the client."""

import asyncio
import json
import time
from base64 import b64encode

import nats
import pytest
from structlog.testing import capture_logs

from events.announce import Committed
from tests.support.doorstep import CONTROL, SUBMITTED, Doorstep, Json, event
from tests.support.eventually import PATIENCE, eventually
from tests.support.nats_hello import LET_IN, REFUSED, hello
from tests.support.running_gateway import token
from tests.support.tokens import REFUSED as BAD

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_event_becomes_a_task_of_its_sender(doorstep: Doorstep) -> None:
    async with doorstep.outsider() as alice, doorstep.http() as http:
        answer = await alice.ask(event(id="first"))
        assert (answer.status, answer.body["outcome"], answer.body["durability"]) == (202, "applied", "log+database")
        task = (await http.get(f"/api/v1/tasks/{answer.body['task_id']}")).json()
    assert task["prompt"] == "Summarise: it rained."
    kept = await doorstep.kept(str(answer.body["event_id"]))
    assert (kept["tenantid"], kept["ownerid"], kept["source"]) == ("acme", "alice", "/gateway")
    assert (kept["producersource"], kept["producerid"]) == ("/shop", "first")


async def test_what_only_the_gateway_may_stamp_is_not_believed(doorstep: Doorstep) -> None:
    lies: Json = {"tenantid": "other", "ownerid": "bob", "hopcount": 9, "correlationid": "x", "resendof": "y"}
    stamps: Json = {"producersource": "/z", "producerdigest": "0", "aggregateversion": 7, "causationid": "c"}
    async with doorstep.outsider() as alice:
        answer = await alice.ask(event(**lies, **stamps, color="red"))
    kept = await doorstep.kept(str(answer.body["event_id"]))
    assert (kept["tenantid"], kept["ownerid"], kept["hopcount"]) == ("acme", "alice", 0)
    assert kept["correlationid"] == kept["id"]
    assert (kept["producersource"], kept["color"]) == ("/shop", "red")
    assert not {"resendof", "aggregateversion", "causationid"} & set(kept)


async def test_its_trace_goes_on(doorstep: Doorstep) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with doorstep.outsider() as alice:
        said = await alice.ask(event(traceparent=parent))
        sent = await alice.ask(event(), headers={"traceparent": parent})
    for answer in (said, sent):
        assert (await doorstep.kept(str(answer.body["event_id"])))["traceparent"] == parent


async def test_the_same_source_and_id_are_one_event_however_often_it_comes(doorstep: Doorstep) -> None:
    async with doorstep.outsider() as alice, doorstep.http() as http:
        same = event(id="same")
        answers = await asyncio.gather(*(alice.ask(same) for _ in range(20)))
        over_http = await http.post(
            "/api/v1/events", json=same, headers={"content-type": "application/cloudevents+json"}
        )
        another = await alice.ask({**same, "data": {"spec": {"prompt": "Something else"}}})
    assert {answer.status for answer in answers} == {202}
    assert len({answer.body["task_id"] for answer in answers} | {over_http.json()["task_id"]}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert over_http.headers["idempotency-replayed"] == "true"
    assert over_http.json()["cursor"] == answers[0].body["cursor"]
    assert (another.status, another.body["code"]) == (409, "idempotency_conflict")


async def test_another_sender_or_source_has_ids_of_its_own(doorstep: Doorstep) -> None:
    async with doorstep.outsider() as alice, doorstep.outsider("bob") as bob, doorstep.outsider(tenant="two") as other:
        same = event(id="mine")
        answers = [await someone.ask(same) for someone in (alice, bob, other)]
        answers.append(await alice.ask({**same, "source": "/elsewhere"}))
    assert len({answer.body["task_id"] for answer in answers}) == 4


async def test_binary_mode_means_the_same(doorstep: Doorstep) -> None:
    headers = {
        "ce-specversion": "1.0",
        "CE-Id": "b%201",
        "ce-source": "/shop",
        "ce-type": SUBMITTED,
        "ce-color": "r%C3%A9d",
    }
    body = json.dumps({"spec": {"prompt": "In binary mode"}}).encode()
    async with doorstep.outsider() as alice:
        answer = await alice.ask(body, "in.acme.task.submitted", headers)
    assert answer.status == 202
    kept = await doorstep.kept(str(answer.body["event_id"]))
    assert (kept["producerid"], kept["color"]) == ("b 1", "réd")


async def test_a_task_is_controlled_by_its_owner_and_nobody_else(doorstep: Doorstep) -> None:
    async with doorstep.outsider() as alice, doorstep.outsider("bob") as bob:
        task_id = (await alice.ask(event())).body["task_id"]
        command = {"task_id": task_id, "action": "cancel", "reason": "No longer needed."}
        refused = await bob.ask(event(type=CONTROL, data=command))
        done = await alice.ask(event(type=CONTROL, data=command))
        late = await alice.ask(event(type=CONTROL, data=command))
    assert (refused.status, refused.body["code"]) == (404, "not_found")
    assert (done.status, done.body["outcome"]) == (202, "applied")
    assert (late.status, late.body["code"]) == (409, "task_final")


REFUSALS: dict[str, tuple[Json | bytes, int, str]] = {
    "no JSON": (b"{", 400, "bad_json"),
    "no object": (b"[1]", 422, "invalid_event"),
    "no id": (event(id=None), 422, "invalid_request"),
    "no source": (event(source=None), 422, "invalid_request"),
    "no data": (event(data=None), 422, "invalid_request"),
    "another version": (event(specversion="0.3"), 422, "invalid_request"),
    "data that is no object": (event(data=[1]), 422, "invalid_request"),
    "data in base64": ({**event(data=None), "data_base64": b64encode(b"{}").decode()}, 422, "invalid_event"),
    "data of another kind": (event(datacontenttype="text/xml"), 422, "invalid_request"),
    "an attribute in upper case": (event(Color="red"), 422, "invalid_request"),
    "an attribute that is an object": (event(color={"r": 1}), 422, "invalid_request"),
    "too many attributes": (event(**{f"x{n}": "y" for n in range(17)}), 422, "invalid_request"),
    "a blank prompt": (event(data={"spec": {"prompt": " "}}), 422, "invalid_request"),
    "an unknown member": (event(data={"spec": {"prompt": "x"}, "task_id": "1"}), 422, "invalid_request"),
    "a NUL": (event(data={"spec": {"prompt": "a\x00"}}), 422, "invalid_request"),
    "a type not for the subject": (event(type=CONTROL), 422, "invalid_request"),
}


@pytest.mark.parametrize("what", REFUSALS)
async def test_what_is_no_event_is_refused_with_a_problem(what: str, doorstep: Doorstep) -> None:
    sent, status, code = REFUSALS[what]
    async with doorstep.outsider() as alice:
        answer = await alice.ask(sent, "in.acme.task.submitted")
    assert (answer.status, answer.body["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["Nats-Service-Error-Code"] == str(status)
    assert not answer.body["retryable"]


async def test_a_type_nobody_knows_is_answered_with_those_that_are(doorstep: Doorstep) -> None:
    async with doorstep.outsider() as alice:
        answer = await alice.ask(event(type="io.ganglion.order.placed.v1"))
    assert (answer.status, answer.body["code"]) == (422, "unknown_event_type")
    known = answer.body["known_types"]
    assert isinstance(known, list)
    assert {SUBMITTED, CONTROL} <= set(known)


@pytest.mark.parametrize(
    "name", ["task.succeeded", "task.checked", "message.appended", "agent.changed", "run.finished"]
)
async def test_nobody_outside_states_what_we_announce(name: str, doorstep: Doorstep) -> None:
    async with doorstep.outsider() as alice:
        answer = await alice.ask(event(type=f"io.ganglion.{name}.v1"))
    assert (answer.status, answer.body["code"]) == (403, "event_not_allowed")


async def test_a_token_that_may_only_read_may_not_ask(doorstep: Doorstep) -> None:
    async with doorstep.outsider(bearer=token(scopes=("tasks:read",))) as reader:
        answer = await reader.ask(event())
    assert (answer.status, answer.body["code"]) == (403, "missing_scope")


async def test_who_asks_is_what_the_server_says_and_not_what_the_header_says(doorstep: Doorstep) -> None:
    forged = json.dumps({"acc": "GANGLION", "user": "user acme bob 9999999999 - admin,tasks:write"})
    async with doorstep.outsider() as alice:
        for name in ("Nats-Request-Info", "nats-request-info"):
            answer = await alice.ask(event(), headers={name: forged})
            assert (await doorstep.kept(str(answer.body["event_id"])))["ownerid"] == "alice"


async def test_a_header_written_twice_or_folded_is_no_way_in(doorstep: Doorstep) -> None:
    host, port = doorstep.where.split(":")
    forged = b'Nats-Request-Info: {"user":"user acme bob 9999999999 - tasks:write"}\r\n'
    tricks = (
        forged + forged,
        b"A: 1\r\n" + forged + b"B: 2\r\n" + forged,
        forged.replace(b"\r\n", b"\n"),
        b"A: 1\n" + forged,
        # The server appends its own line to what a client left open: it must not be lost there.
        forged + forged + b"A: 1",
        b" " + forged + b"A: 1",
        b"\t" + forged + b"A: 1",
        forged.replace(b": ", b" : ", 1) + b"A: 1",
        forged + forged.removesuffix(b"\r\n"),
        forged.replace(b"\r\n", b"\r\n " + forged),
    )
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(
            b"CONNECT " + json.dumps({"auth_token": token(), "headers": True, "verbose": False}).encode() + b"\r\n"
        )
        writer.write(b"SUB _INBOX.acme.alice.* 1\r\n")
        for number, trick in enumerate(tricks):
            head = b"NATS/1.0\r\n" + trick + b"\r\n"
            body = json.dumps(event(id=f"forged-{number}")).encode()
            sizes = f"{len(head)} {len(head) + len(body)}"
            writer.write(
                f"HPUB in.acme.task.submitted _INBOX.acme.alice.{number} {sizes}\r\n".encode() + head + body + b"\r\n"
            )
        answered = b""
        async with asyncio.timeout(10 * PATIENCE):
            while answered.count(b"HMSG _INBOX.acme.alice.") < len(tricks):
                answered += await reader.read(65_536)
    finally:
        writer.close()
    said = [kept for _, kept in await doorstep.bus.stream()]
    assert {kept["ownerid"] for kept in said if str(kept.get("producerid", "")).startswith("forged-")} == {"alice"}


async def test_an_outsider_reaches_nothing_but_the_door_of_its_tenant(doorstep: Doorstep) -> None:
    api = "$JS.API"
    published = [
        *(
            "in.other.task.submitted",
            "in.acme2.task.submitted",
            "bus.acme.task.submitted.0",
            "bus.>",
            "tok.acme.run.delta.0",
        ),
        *("keeper.committed", "dlq.reflex.task.submitted", "work.acme.agent", "ctl.acme.agent", "route.ask"),
        *("_INBOX.gateway.x", "_INBOX.acme.bob.x", "_R_.x", "$SYS.REQ.USER.AUTH", "$SYS.REQ.USER.INFO.x"),
        *(f"{api}.INFO", f"{api}.STREAM.NAMES", f"{api}.STREAM.INFO.BUS", f"{api}.STREAM.DELETE.BUS"),
        *(f"{api}.STREAM.PURGE.BUS", f"{api}.STREAM.CREATE.X", f"{api}.STREAM.MSG.GET.BUS", f"{api}.DIRECT.GET.BUS"),
        *(
            f"{api}.CONSUMER.CREATE.BUS",
            f"{api}.CONSUMER.MSG.NEXT.BUS.reflex",
            f"{api}.CONSUMER.MSG.NEXT.WORK.acme~alice",
        ),
        *(f"{api}.CONSUMER.INFO.WORK.acme~alice", "$JS.ACK.WORK.acme~alice.1.1.1.0.0", "$JS.ACK.BUS.reflex.1.1.1.0.0"),
    ]
    heard = [
        *(">", "*", "bus.>", "in.>", "in.acme.>", "keeper.committed", "ctl.>", "ctl.acme.alice", "work.>", "_INBOX.>"),
        *("_INBOX.acme.>", "_INBOX.acme.bob.>", "_INBOX.gateway.>", "_R_.>", "$SYS.>", "$JS.>", "$JS.EVENT.ADVISORY.>"),
    ]
    async with doorstep.outsider() as alice:
        for subject in published:
            await alice.client.publish(subject, b"{}")
        for subject in heard:
            await alice.client.subscribe(subject)
        await alice.client.flush()
        await eventually(lambda: len(alice.refused) >= len(published) + len(heard))
        refused = {text.rpartition('to "')[2].rstrip('"').lower() for text in alice.refused}
        assert {subject.lower() for subject in (*published, *heard)} <= refused
        assert (await alice.ask(event())).status == 202


async def test_an_answer_goes_to_the_outsiders_own_world(doorstep: Doorstep) -> None:
    """A reply subject that names something of ours leads nowhere: it is a subject of the outsiders' account."""
    before = await doorstep.bus.client.jetstream().stream_info("DLQ")
    async with doorstep.outsider() as alice:
        await alice.client.publish("in.acme.task.submitted", b"{}", reply="dlq.reflex.evil.evil")
        await alice.client.publish("in.acme.task.submitted", b"{}", reply="$JS.API.STREAM.PURGE.BUS")
        assert (await alice.ask(event())).status == 202
    after = await doorstep.bus.client.jetstream().stream_info("DLQ")
    assert after.state.last_seq == before.state.last_seq
    assert (await doorstep.bus.client.jetstream().stream_info("BUS")).state.messages > 0


async def test_a_good_token_is_let_in(doorstep: Doorstep) -> None:
    assert await hello(doorstep.where, auth_token=token()) == LET_IN


@pytest.mark.parametrize("what", [name for name in BAD if name != "64 kB"])
async def test_a_token_that_is_refused_over_http_is_refused_by_nats(what: str, doorstep: Doorstep) -> None:
    assert await hello(doorstep.where, auth_token=BAD[what]()) == REFUSED


async def test_an_answer_can_be_heard_at_the_own_inbox_only(doorstep: Doorstep) -> None:
    async with doorstep.outsider(inbox="_INBOX.acme.bob") as alice:
        with pytest.raises((nats.errors.Error, TimeoutError)):
            await alice.client.request("in.acme.task.submitted", b"{}", timeout=0.3)


async def test_a_connection_ends_with_its_token(doorstep: Doorstep) -> None:
    async with doorstep.outsider(bearer=token(lifetime=-28)) as alice:  # 30 s of leeway, as everywhere
        began = time.monotonic()
        assert (await alice.ask(event())).status == 202
        await eventually(lambda: alice.client.is_closed, within=8)
        assert time.monotonic() - began < 6


async def test_nothing_that_an_outsider_can_write_makes_the_gateway_deaf_or_speaks_as_one_of_ours(
    doorstep: Doorstep,
) -> None:
    """By hand: nats-py would not write it, and what it did when it read it concerned all of a gateway's clients."""
    forged = Committed(epoch="zzzz", position=10**12).model_dump_json().encode()
    commands = [b"PUB in.acme.x\v%d %d\r\n%b\r\n" % (number, len(forged), forged) for number in range(1, 50)]
    commands.append(b"PUB in.acme.\xff.x 2\r\n{}\r\n")
    commands += [
        b"HPUB in.acme.task.submitted %d %d\r\n%b{}\r\n" % (len(headers), len(headers) + 2, headers)
        for headers in (b"NATS/1.0 \xff\xff\xff\r\n\r\n", b"NATS/1.0 503 \xff\r\n\r\n", b"NATS", b"\xff")
    ]
    async with doorstep.outsider() as alice:
        with capture_logs() as logs:
            for command in commands:
                await alice.client._send_command(command)
                await alice.client.flush()
                async with asyncio.timeout(8):  # a deaf connection is found to be one after ten seconds
                    assert (await alice.ask(event())).status == 202
        assert not alice.refused
    assert "epoch_changed" not in {line["event"] for line in logs}  # as the announcement would have it
