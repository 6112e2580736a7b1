"""Which tokens are believed, and which keys are used."""

import asyncio
import contextlib
import json
import time
from itertools import pairwise

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import RSAAlgorithm
from pydantic import JsonValue, SecretStr

from deploy.local.tokens import ROLES as MINTED
from deploy.local.tokens import mint
from gateway.auth.bearer import ADMIN, READ, TENANT, WRITE, Authenticator, AuthSettings, Principal
from gateway.auth.keys import RemoteKeys, key_ring
from gateway.auth.roles import ROLES
from gateway.errors import KeysUnavailableError, MissingScopeError, UnauthorizedError
from tests.support.eventually import eventually
from tests.support.running_gateway import SECRET
from tests.support.tokens import REFUSED, RSA, RSA_PEM, claims, signed


def authenticator(*, secret: str | None = SECRET, pem: str | None = None) -> Authenticator:
    return Authenticator(
        AuthSettings(jwt_secret=SecretStr(secret) if secret else None, jwt_public_key=pem, jwks_url=None)
    )


async def test_a_good_token_names_its_bearer() -> None:
    principal = await authenticator().principal(signed())
    assert (principal.tenant, principal.owner, set(principal.scopes)) == ("acme", "alice", {READ, WRITE})


@pytest.mark.parametrize("fault", REFUSED)
async def test_a_bad_token_is_refused(fault: str) -> None:
    with pytest.raises(UnauthorizedError):
        await authenticator().principal(REFUSED[fault]())


@pytest.mark.parametrize("fault", ["", None])
async def test_no_token_is_refused(fault: str | None) -> None:
    with pytest.raises(UnauthorizedError):
        await authenticator().principal(fault)


async def test_the_public_key_is_never_taken_for_a_secret() -> None:
    confused = REFUSED["foreign signature"]()
    header, payload, _ = confused.split(".")
    import base64  # noqa: PLC0415 - only here
    import hashlib  # noqa: PLC0415 - only here
    import hmac  # noqa: PLC0415 - only here

    digest = hmac.new(RSA_PEM.encode(), f"{header}.{payload}".encode(), hashlib.sha256).digest()
    token = f"{header}.{payload}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
    with pytest.raises(UnauthorizedError):
        await authenticator(secret=None, pem=RSA_PEM).principal(token)


async def test_rs256_and_eddsa_tokens_are_verified_with_their_public_keys() -> None:
    token = jwt.encode(claims(), RSA, algorithm="RS256")
    assert (await authenticator(secret=None, pem=RSA_PEM).principal(token)).owner == "alice"
    private = Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    token = jwt.encode(claims(), private, algorithm="EdDSA")
    assert (await authenticator(secret=None, pem=pem.decode()).principal(token)).owner == "alice"


async def test_a_remembered_token_still_expires() -> None:
    gatekeeper = authenticator()
    token = signed(exp=int(time.time()) - 28)
    await gatekeeper.principal(token)

    async def refused() -> bool:
        with contextlib.suppress(UnauthorizedError):
            await gatekeeper.principal(token)
            return False
        return True

    await eventually(refused, within=4)


async def test_the_leeway_is_thirty_seconds() -> None:
    assert (await authenticator().principal(signed(exp=int(time.time()) - 20))).owner == "alice"


@pytest.mark.parametrize("keys", [(None, None, None), (SECRET, RSA_PEM, None), ("short", None, None)])
def test_a_gateway_without_exactly_one_strong_key_does_not_start(
    keys: tuple[str | None, str | None, str | None],
) -> None:
    with pytest.raises(ValueError, match="GANGLION_JWT_SECRET"):
        key_ring(*keys)


def test_scopes_are_demanded_and_admin_has_all() -> None:
    reader = Principal("acme", "alice", frozenset({READ}), 0)
    reader.must(READ)
    with pytest.raises(MissingScopeError):
        reader.must(WRITE)
    Principal("acme", "root", frozenset({ADMIN}), 0).must(WRITE)


@pytest.mark.parametrize(
    ("said", "granted"),
    [
        ({"role": "viewer"}, {READ}),
        ({"role": "member"}, {READ, WRITE}),
        ({"role": "lead"}, {READ, WRITE, "agents:write", TENANT}),
        ({"role": "admin"}, {READ, WRITE, "agents:write", TENANT, ADMIN}),
        ({"role": "viewer", "scope": ADMIN}, {READ}),
        ({"role": "lead", "scope": f"{READ} {ADMIN}"}, {READ, WRITE, "agents:write", TENANT}),
        ({"role": "admin", "scope": WRITE}, {WRITE}),
        ({"role": "member", "scope": ""}, set()),
        ({"role": "authenticated", "scope": READ}, {READ}),
        ({"role": "authenticated"}, set()),
        ({"role": ["admin"]}, set()),
        ({}, set()),
    ],
)
async def test_a_role_grants_its_scopes_and_none_that_the_token_does_not_name(
    said: dict[str, JsonValue], granted: set[str]
) -> None:
    """Requirements 002.1, 3.3.TEN; a role of somebody else's says nothing."""
    token = jwt.encode(claims(**{"scope": None, **said}), SECRET, algorithm="HS256")
    assert (await authenticator().principal(token)).scopes == granted


async def test_a_lead_sees_the_tenants_and_looks_after_nothing_else() -> None:
    lead = await authenticator().principal(signed(scope=None, role="lead"))
    assert [lead.may_see("acme", "bob"), lead.may_see("other", "alice"), lead.is_admin] == [True, False, False]
    with pytest.raises(MissingScopeError):
        lead.must(ADMIN)


def test_every_role_that_can_be_minted_is_in_the_table() -> None:
    assert tuple(ROLES) == MINTED
    tokens = [mint(SECRET, owner="o", tenant="t", role=role, scopes=()) for role in MINTED]
    read = [jwt.decode(token, SECRET, ["HS256"], audience="ganglion") for token in tokens]
    assert [(one["role"], "scope" in one) for one in read] == [(role, False) for role in MINTED]


def test_an_owner_sees_their_own_and_an_admin_the_tenants() -> None:
    alice = Principal("acme", "alice", frozenset({READ}), 0)
    root = Principal("acme", "root", frozenset({ADMIN}), 0)
    seen = [
        (who.may_see("acme", "alice"), who.may_see("acme", "bob"), who.may_see("other", who.owner))
        for who in (alice, root)
    ]
    assert seen == [(True, False, False), (True, True, False)]


class KeyServer:
    """A JWKS endpoint whose keys can be changed."""

    def __init__(self, *keys: object) -> None:
        self.keys = list(keys)
        self.asked = 0
        self.status = 200

    def __call__(self, _: httpx.Request) -> httpx.Response:
        self.asked += 1
        return httpx.Response(self.status, json={"keys": self.keys})


def public_jwk(kid: str) -> dict[str, object]:
    return {**json.loads(RSAAlgorithm.to_jwk(RSA.public_key())), "kid": kid, "use": "sig"}


async def test_keys_of_a_jwks_are_found_by_their_id_and_fetched_seldom() -> None:
    server = KeyServer(
        public_jwk("one"), {"kty": "oct", "k": "c2VjcmV0", "kid": "weak"}, {"kty": "RSA", "kid": "broken"}, None, "two"
    )
    keys = RemoteKeys("https://idp.example/keys", httpx.MockTransport(server))
    assert (await keys.find("one")).algorithm == "RS256"
    for unknown in ("weak", "broken", "two", "../one"):
        with pytest.raises(jwt.InvalidKeyError):
            await keys.find(unknown)
    assert server.asked == 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the time is for the keys."""
    now = [100.0]
    monkeypatch.setattr("gateway.auth.keys.monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("answer", [httpx.Response(500), httpx.Response(200, json={"keys": "none"})], ids=str)
async def test_a_jwks_that_cannot_be_read_lets_nobody_in_and_says_when_to_come_back(
    answer: httpx.Response, clock: list[float]
) -> None:
    """Soon at first: the server of the keys may only be starting, as this one is."""
    asked = list[float]()

    def server(_: httpx.Request) -> httpx.Response:
        asked.append(clock[0])
        return answer

    keys = RemoteKeys("https://idp.example/keys", httpx.MockTransport(server))
    for kid in ("one", "one", None) * 7:
        with pytest.raises(KeysUnavailableError) as caught:
            await keys.find(kid)
        assert caught.value.retry_after is not None
        if kid is None:
            clock[0] += caught.value.retry_after
    assert [later - sooner for sooner, later in pairwise(asked)] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]


async def test_who_has_a_known_key_does_not_wait_for_a_jwks_that_is_slow(clock: list[float]) -> None:
    asked, answers = asyncio.Event(), asyncio.Event()
    server = KeyServer(public_jwk("one"))

    async def slow(request: httpx.Request) -> httpx.Response:
        if server.asked:
            asked.set()
            await answers.wait()
        return server(request)

    keys = RemoteKeys("https://idp.example/keys", httpx.MockTransport(slow))
    await keys.find("one")
    clock[0] += 301
    reading = asyncio.create_task(keys.find("one"))
    await asked.wait()
    clock[0] += 1.5
    assert (await asyncio.wait_for(keys.find("one"), 5)).algorithm == "RS256"
    unknown = asyncio.create_task(keys.find("two"))  # it may be among those that come
    server.keys.append(public_jwk("two"))
    answers.set()
    assert [(await found).algorithm for found in (reading, unknown)] == ["RS256", "RS256"]
    assert server.asked == 2


async def test_a_jwks_that_is_away_takes_nothing_from_the_keys_that_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = KeyServer(public_jwk("one"))
    keys = RemoteKeys("https://idp.example/keys", httpx.MockTransport(server))
    await keys.find("one")
    monkeypatch.setattr("gateway.auth.keys._REFETCH", 0.0)
    server.status = 503
    assert (await keys.find("one")).algorithm == "RS256"
    with pytest.raises(KeysUnavailableError):
        await keys.find("two")
    server.status = 200
    with pytest.raises(jwt.InvalidKeyError):
        await keys.find("two")
