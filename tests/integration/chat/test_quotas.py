"""Quotas of a tenant on a real keeper: refused early, and by the keeper where requests come at once (3.3.TEN)."""

import asyncio
from datetime import UTC, datetime
from typing import cast

import httpx
import pytest
import pytest_asyncio

from consumers.keeper.rebuild import rebuild
from gateway.tenants.quotas import Quotas
from tests.integration.chat.test_sessions import HOME, NEW, act, becomes, body_of
from tests.support.eventually import eventually
from tests.support.parlour import Json, Parlour, Talker
from tests.support.running_gateway import RunningGateway, token

pytestmark = pytest.mark.asyncio(loop_scope="module")

USAGE = "/api/v1/tenant/usage"
FILE = """
default: {concurrent_sessions: 0}
tenants:
  few: {concurrent_sessions: 2}
  thrifty: {tokens_per_month: 100}
  free: {}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def frugal(module_parlour: Parlour, tmp_path_factory: pytest.TempPathFactory) -> RunningGateway:
    """A gateway that knows the quotas, beside the parlour's own, which knows none."""
    path = tmp_path_factory.mktemp("quotas") / "quotas.yaml"
    path.write_text(FILE)
    gateway = await module_parlour.another_gateway(quotas=path)
    await module_parlour.hears((await member(gateway, module_parlour, "ann", "few")).http)
    return gateway


async def member(gateway: RunningGateway, parlour: Parlour, owner: str, tenant: str) -> Talker:
    """Somebody of a tenant, at the gateway that knows its quota."""
    return Talker(owner, await parlour.opened.enter_async_context(gateway.client(token(owner, tenant=tenant))))


def assert_is_over(answer: httpx.Response, quota: str, used: int, allowed: int) -> None:
    problem = body_of(answer, 429)
    assert (problem["code"], problem["retryable"]) == ("quota_exceeded", True)
    assert (problem["quota"], problem["used"], problem["allowed"]) == (quota, used, allowed)
    assert int(answer.headers["retry-after"]) >= 1


async def used(talker: Talker) -> tuple[int, int]:
    """Sessions and tokens."""
    shown = body_of(await talker.http.get(USAGE))
    parts = [cast("Json", shown[name]) for name in ("concurrent_sessions", "tokens_per_month")]
    return int(str(parts[0]["used"])), int(str(parts[1]["used"]))


async def test_no_more_sessions_are_at_work_than_a_tenant_may_have(
    parlour: Parlour, frugal: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    parlour.guest.go_on.clear()
    ann, bob = [await member(frugal, parlour, name, "few") for name in ("ann", "bob")]

    async def let_pass(*_: object, **__: object) -> None:
        """As for requests that come at once: none knows of the other."""

    with monkeypatch.context() as patched:
        patched.setattr(Quotas, "_refuse_early", let_pass)
        asked = [one.http.post(HOME, json={**NEW, "auto_start": True}) for one in (ann, bob) * 4]
        answers = await asyncio.gather(*asked)
    created = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code != 201]
    assert (len(created), len(refused)) == (2, 6)
    for answer in refused:
        assert_is_over(answer, "concurrent_sessions", 2, 2)
    assert await used(ann) == (2, 0)

    assert_is_over(await ann.http.post(HOME, json={**NEW, "auto_start": True}), "concurrent_sessions", 2, 2)
    waiting = str(body_of(await ann.http.post(HOME, json=NEW), 201)["id"])
    assert_is_over(await act(ann, waiting, "start"), "concurrent_sessions", 2, 2)
    body_of(await ann.http.post("/api/v1/tasks", json={"prompt": "No session."}), 202)
    owner = ann if (await ann.http.get(f"{HOME}/{created[0]}")).status_code == 200 else bob
    body_of(await act(owner, created[0], "cancel"))
    assert body_of(await act(ann, waiting, "start"))["status"] in {"queued", "running", "pending"}
    totals = [int(str(body_of(await one.http.get(HOME))["total"])) for one in (ann, bob)]
    assert sum(totals) == 3


async def test_beyond_the_tokens_of_a_month_nothing_new_is_taken(parlour: Parlour, frugal: RunningGateway) -> None:
    parlour.guest.tokens = 60
    ann = await member(frugal, parlour, "ann", "thrifty")
    keys = {"Idempotency-Key": "first"}
    first = body_of(await ann.http.post("/api/v1/tasks", json={"prompt": "One."}, headers=keys), 202)
    await ann.say("Two.")

    async def counted() -> bool:
        return await used(ann) == (0, 120)

    await eventually(counted, within=15)
    assert_is_over(await ann.http.post("/api/v1/tasks", json={"prompt": "Three."}), "tokens_per_month", 120, 100)
    assert_is_over(await ann.http.post("/submit", json={"goal": "Three."}), "tokens_per_month", 120, 100)
    assert_is_over(await ann.http.post(HOME, json=NEW), "tokens_per_month", 120, 100)
    assert_is_over(await ann.post("Three?"), "tokens_per_month", 120, 100)
    again = await ann.http.post("/api/v1/tasks", json={"prompt": "One."}, headers=keys)
    assert (body_of(again, 202)["task_id"], again.headers["idempotency-replayed"]) == (first["task_id"], "true")
    shown = body_of(await ann.http.get(USAGE))
    assert shown["tokens_per_month"] == {"used": 120, "allowed": 100}
    assert shown["concurrent_sessions"] == {"used": 0, "allowed": None}
    assert str(shown["resets_at"]) > datetime.now(UTC).isoformat()


async def test_each_tenant_has_its_own_quota_and_without_a_file_there_is_none(
    parlour: Parlour, frugal: RunningGateway, alice: Talker
) -> None:
    free, other = [await member(frugal, parlour, "ann", tenant) for tenant in ("free", "other")]
    body_of(await free.http.post(HOME, json={**NEW, "auto_start": True}), 201)
    assert_is_over(await other.http.post(HOME, json={**NEW, "auto_start": True}), "concurrent_sessions", 0, 0)
    shown = body_of(await alice.http.get(USAGE))
    assert (shown["tenant"], cast("Json", shown["concurrent_sessions"])["allowed"]) == ("acme", None)
    done = str(body_of(await alice.http.post(HOME, json={**NEW, "auto_start": True}), 201)["id"])
    await becomes(alice, done, "completed")


async def test_a_rebuild_refuses_what_was_refused(parlour: Parlour) -> None:
    """After the other tests of this module: the quota is in the log, so nobody needs to know the file."""
    parlour.guest.go_on.set()
    await parlour.bus.folded()
    report = await rebuild(parlour.bus.database_url, swap=False)
    assert {table.table: (table.missing, table.extra) for table in report.tables if table.missing or table.extra} == {}
    assert {table.table: table.rows for table in report.tables}["tenant_usage"] >= 3
