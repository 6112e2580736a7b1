"""The call of an outside agent, against a real server: tries, bounds, no redirect, nothing inside, signed."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from consumers.push import client as module
from consumers.push.client import AgentClient, Call
from consumers.push.errors import AgentAwayError, AgentRefusedError, AnswerTooLargeError, WrongPlaceError
from consumers.push.settings import PushSettings
from events.endpoints import Address, EndpointForbiddenError, EndpointRules
from events.signing import shown
from tests.support.called_agent import Called, Reply, called_agent
from tests.support.eventually import eventually
from tests.support.webhooks import is_genuine

SECRET = b"s" * 32
BODY = b'{"task_id": "t"}'
LOCAL = EndpointRules.of(["127.0.0.0/8"])
QUICK = PushSettings(connect_timeout=5, longest_pause=0.01)
GOOD = Reply(body=b'{"good": true}')


def client(settings: PushSettings = QUICK, rules: EndpointRules = LOCAL, at: Sequence[str] = ()) -> AgentClient:
    async def there(host: str, port: int) -> Sequence[Address]:
        return [ip_address(one) for one in at or (host,)]

    return AgentClient(settings, rules, resolve=there)


def call(url: str) -> Call:
    return Call(url, "run-1", [SECRET], BODY, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


class Replies:
    """One after the other, the last again and again."""

    def __init__(self, *replies: Reply | None) -> None:
        self.replies = list(replies)

    async def __call__(self, _: Called) -> Reply | None:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


async def test_a_call_is_a_post_to_task_that_its_agent_can_tell_from_others() -> None:
    async with called_agent(Replies(GOOD)) as agent:
        assert await client().ask(call(f"{agent.url}/base/")) == GOOD.body
    (said,) = agent.calls
    assert (said.path, said.body) == ("/base/task", BODY)
    assert is_genuine(shown(SECRET), said.headers, said.body)
    assert said.headers["webhook-id"] == said.headers["idempotency-key"] == "run-1"
    assert said.headers["host"] == agent.url.removeprefix("http://")
    assert said.headers["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert SECRET.decode() not in str(said)


@pytest.mark.parametrize("trouble", [None, Reply(500), Reply(503), Reply(429, headers={"retry-after": "0"})], ids=str)
async def test_passing_trouble_is_tried_again_under_the_same_id(trouble: Reply | None) -> None:
    async with called_agent(Replies(trouble, trouble, GOOD)) as agent:
        assert await client().ask(call(agent.url)) == GOOD.body
    assert len(agent.calls) == 3
    assert {said.headers["webhook-id"] for said in agent.calls} == {"run-1"}


async def test_three_tries_are_all_and_nobody_there_is_passing_trouble() -> None:
    async with called_agent(Replies(Reply(502))) as agent:
        with pytest.raises(AgentAwayError):
            await client().ask(call(agent.url))
    assert len(agent.calls) == 3
    with pytest.raises(AgentAwayError):  # the port is closed now
        await client().ask(call(agent.url))

    async def unknown(*_: object) -> Sequence[Address]:
        raise AgentAwayError

    with pytest.raises(AgentAwayError):
        await AgentClient(QUICK, EndpointRules.of(), resolve=unknown).ask(call("https://agent.example"))


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
async def test_what_the_agent_refuses_is_not_tried_again(status: int) -> None:
    async with called_agent(Replies(Reply(status))) as agent:
        with pytest.raises(AgentRefusedError):
            await client().ask(call(agent.url))
    assert len(agent.calls) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 405, 410, 304])
async def test_who_is_no_agent_for_us_is_not_asked_again(status: int) -> None:
    async with called_agent(Replies(Reply(status))) as agent:
        with pytest.raises(WrongPlaceError):
            await client().ask(call(agent.url))
    assert len(agent.calls) == 1


async def test_no_redirect_is_followed() -> None:
    async with called_agent(Replies(GOOD)) as inside:
        for status in (301, 302, 303, 307, 308):
            redirect = Reply(status, headers={"location": f"{inside.url}/task"})
            async with called_agent(Replies(redirect)) as agent:
                with pytest.raises(WrongPlaceError):
                    await client().ask(call(agent.url))
    assert inside.calls == []


async def test_an_answer_is_read_up_to_its_bound_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER", 1_000)
    async with called_agent(Replies(Reply(body=b"x" * 1_000), Reply(body=b"x" * 1_001))) as agent:
        assert len(await client().ask(call(agent.url))) == 1_000
        with pytest.raises(AnswerTooLargeError):
            await client().ask(call(agent.url))
    packed = Reply(body=b"\x1f\x8b", headers={"content-encoding": "gzip"})
    async with called_agent(Replies(packed)) as agent:
        with pytest.raises(WrongPlaceError):
            await client().ask(call(agent.url))


async def test_a_name_that_leads_inside_is_not_called_though_it_leads_outside_too() -> None:
    async with called_agent(Replies(GOOD)) as agent:
        port = agent.url.rpartition(":")[2]
        for found in (["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["::ffff:127.0.0.1"], ["169.254.169.254"]):
            with pytest.raises(EndpointForbiddenError):
                await client(rules=EndpointRules.of(), at=found).ask(call(f"https://agent.example:{port}"))
        with pytest.raises(EndpointForbiddenError):
            await client(rules=EndpointRules.of()).ask(call(agent.url))
    assert agent.calls == []


async def test_the_address_that_was_judged_is_the_one_that_is_called() -> None:
    """Whoever answers for the name the second time is not asked: it is resolved once a try."""
    asked: list[str] = []

    async def changing(host: str, _: int) -> Sequence[Address]:
        asked.append(host)
        return [ip_address("127.0.0.1" if len(asked) == 1 else "10.0.0.1")]

    async with called_agent(Replies(GOOD)) as agent:
        port = agent.url.rpartition(":")[2]
        listed = EndpointRules.of(["127.0.0.0/8", "agent.internal"])
        assert await AgentClient(QUICK, listed, resolve=changing).ask(call(f"http://agent.internal:{port}"))
    assert asked == ["agent.internal"]
    assert agent.calls[0].headers["host"] == f"agent.internal:{port}"


async def test_the_next_address_is_tried_where_nobody_answers_at_the_first() -> None:
    async with called_agent(Replies(GOOD)) as agent:
        rules = EndpointRules.of(["127.0.0.0/8", "agent.internal"])
        port = agent.url.rpartition(":")[2]
        found = ["127.0.0.2", "127.0.0.1"]  # the server listens at the second only
        assert await client(rules=rules, at=found).ask(call(f"http://agent.internal:{port}"))
    assert len(agent.calls) == 1


def certificate(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """An authority's file, and a server's context for this name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    public, private = folder / f"{name}.pem", folder / f"{name}.key"
    public.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context


async def test_over_https_the_certificate_is_that_of_the_name_whatever_the_address(tmp_path: Path) -> None:
    authority, tls = certificate(tmp_path, "agent.example")
    trusting = QUICK.model_copy(update={"ca": authority})
    async with called_agent(Replies(GOOD), tls=tls) as agent:
        port = agent.url.rpartition(":")[2]
        assert await client(trusting, at=["127.0.0.1"]).ask(call(f"https://agent.example:{port}")) == GOOD.body
        with pytest.raises(AgentAwayError):  # another name than the certificate's
            await client(trusting, at=["127.0.0.1"]).ask(call(f"https://other.example:{port}"))
        with pytest.raises(AgentAwayError):  # an authority that nobody here knows
            await client(at=["127.0.0.1"]).ask(call(f"https://agent.example:{port}"))
    assert len(agent.calls) == 1


async def test_a_call_that_is_given_up_hangs_up() -> None:
    async def never(_: Called) -> Reply | None:
        await asyncio.Event().wait()
        return None

    async with called_agent(never) as agent:
        asking = asyncio.create_task(client().ask(call(agent.url)))
        await eventually(lambda: len(agent.calls) == 1)
        asking.cancel()
        await asyncio.wait({asking})
        await eventually(lambda: agent.dropped == 1)


async def test_a_host_that_is_written_in_another_way_is_resolved_by_the_system_and_judged() -> None:
    """`127.1` and the like are names to us and addresses to the resolver."""
    for host in ("127.1", "0x7f000001", "2130706433", "localhost"):
        try:
            socket.getaddrinfo(host, 1)
        except OSError:
            continue
        with pytest.raises(EndpointForbiddenError):
            await AgentClient(QUICK, EndpointRules.of()).ask(call(f"https://{host}:1"))
