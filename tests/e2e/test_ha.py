"""Two of everything against the same servers: one may die or freeze at any moment, the other goes on."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncpg
import httpx
import pytest
import pytest_asyncio
from nats.js.api import ConsumerInfo

from consumers.app import CONSUMERS
from deploy.local.ports import free_port
from deploy.local.roles import Role
from deploy.local.servers import Servers
from events.streams import DURABLES
from producers.connect import BusSettings, Connection
from tests.support import kill_points as points
from tests.support.eventually import PATIENCE, eventually
from tests.support.infrastructure import server_folder
from tests.support.stack_follower import Follower
from tests.support.stack_load import Asker, answered, promised
from tests.support.stack_parts import Parts
from tests.support.stack_proof import Proof

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

_KILLABLE = ("-m", "tests.support.kill_consumers")
_WORKERS = tuple(name for name in CONSUMERS if name != "keeper")
KEEPERS, WORKERS, GATEWAYS = ("keeper", "standby"), ("workers", "reserve"), ("gateway", "second")
TAKEN_OVER_WITHIN = 3.0 * PATIENCE
_BEGUN = "consumers_started"


@dataclass
class Pair:
    """The parts, each role twice, and where both gateways are."""

    parts: Parts
    second_url: str
    database: "asyncpg.Connection[asyncpg.Record]"

    async def holder(self) -> str:
        """The keeper that leads: its role's name."""
        held = await self.database.fetchval("SELECT holder FROM keeper WHERE until > clock_timestamp()")
        pid = str(held or "::").split(":")[1]
        return next((name for name in KEEPERS if str(self.parts.pid(name)) == pid), "")

    async def taken_over_from(self, other: str) -> float:
        """Wait until the other keeper leads and has folded something; the seconds that took."""
        began = time.monotonic()
        position = await self.database.fetchval("SELECT position FROM keeper")

        async def goes_on() -> bool:
            moved = await self.database.fetchval("SELECT position FROM keeper") > position
            return bool(moved and await self.holder() not in {"", other})

        await eventually(goes_on, within=20)
        return time.monotonic() - began

    async def readers(self) -> dict[str, int]:
        """How many requests for messages are open at each durable: one a process that is idle."""
        return {info.name: info.num_waiting or 0 for info in await self._durables()}

    async def nothing_waits(self) -> bool:
        """Whether every durable has given out all that there is."""
        busy = {info.name: info.num_pending for info in await self._durables() if info.num_pending}
        assert not busy, busy
        return True

    async def _durables(self) -> list[ConsumerInfo]:
        settings = BusSettings.model_validate({"nats_url": self.parts.servers.nats_url})
        async with Connection(settings, "test") as client:
            js = client.jetstream()
            return [await js.consumer_info(durable.stream, durable.name) for durable in DURABLES]

    async def heal(self) -> None:
        """Everything runs, and both keepers have begun."""
        begun = {name: self.parts.log(name).count(_BEGUN) for name in KEEPERS if self.parts.pid(name) is None}
        await self.parts.heal()
        for name, before in begun.items():
            await eventually(lambda: self.parts.log(name).count(_BEGUN) > before, within=30)  # noqa: B023 - at once

    @asynccontextmanager
    async def asking(self) -> AsyncGenerator[list[Asker]]:
        """An owner at each gateway, each followed at the other one."""
        async with AsyncExitStack() as stack:
            askers = []
            for url, other in ((self.parts.url, self.second_url), (self.second_url, self.parts.url)):
                owner = f"o-{uuid.uuid4().hex[:12]}"
                client = await stack.enter_async_context(self.client(owner, url))
                live = await stack.enter_async_context(Follower(other, self.parts.token(owner)))
                askers.append(Asker(owner, client, live))
                askers[-1].work = asyncio.create_task(askers[-1].ask(2))
            try:
                await eventually(lambda: len(kept(askers)) > 6, within=30)
                yield askers
            finally:
                for asker in askers:
                    asker.work.cancel()
                await asyncio.gather(*(asker.work for asker in askers), return_exceptions=True)

    def client(self, owner: str, url: str) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.parts.token(owner)}"}
        return httpx.AsyncClient(base_url=url, headers=headers, timeout=20, trust_env=False)

    async def all_is_proven(self, askers: Sequence[Asker]) -> None:
        """Everything that was promised ended once, and who followed saw it once and in order."""
        await answered(askers)
        tasks = kept(askers)
        async with Proof(self.parts) as proof:
            await proof.all_end(tasks)
            assert set(await proof.statuses(tasks)) == {"succeeded"}
            await proof.every_sequence_is_accounted_for()
            await proof.no_effect_is_doubled(tasks)
            for asker in askers:
                theirs = set(asker.promised)
                await eventually(lambda: _has_seen_all(asker, theirs), within=20)  # noqa: B023 - awaited at once
                await proof.was_seen_once_in_order(asker.live, theirs)


def kept(askers: Sequence[Asker]) -> set[str]:
    return promised(askers, "log", "log+database")


def _has_seen_all(asker: Asker, tasks: set[str]) -> bool:
    return {one.task_id for one in asker.live.seen if one.is_final} >= tasks


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair() -> AsyncGenerator[Pair]:
    port = free_port()
    roles = (
        Role("gateway", ("-m", "tests.support.kill_gateway")),
        Role("second", ("-m", "tests.support.second_gateway", str(port))),
        *(Role(name, (*_KILLABLE, "keeper")) for name in KEEPERS),
        *(Role(name, (*_KILLABLE, *_WORKERS)) for name in WORKERS),
    )
    with server_folder() as folder:
        async with Servers(folder) as servers:
            parts = Parts(servers, folder, roles=roles)
            await parts.provision()
            database = await asyncpg.connect(parts.database_url)
            try:
                await parts.heal()
                yield Pair(parts, f"http://127.0.0.1:{port}", database)
            finally:
                await database.close()
                await parts.stop()


async def test_a_killed_keeper_is_replaced_within_three_seconds(pair: Pair) -> None:
    async with pair.asking() as askers:
        active = await pair.holder()
        await pair.parts.kill(active)
        took = await pair.taken_over_from(active)
        await pair.heal()
        await pair.all_is_proven(askers)
    assert took < TAKEN_OVER_WITHIN


async def test_a_keeper_that_freezes_before_it_publishes_is_replaced_and_says_nothing_when_it_wakes(pair: Pair) -> None:
    async with pair.asking() as askers:
        active = await pair.holder()
        pid = pair.parts.pid(active)
        assert pid is not None
        pair.parts.points.arm(points.FROZEN_BEFORE_PUBLISH)
        await eventually(lambda: not pair.parts.points.is_armed(points.FROZEN_BEFORE_PUBLISH), within=20)
        took = await pair.taken_over_from(active)
        ended = pair.parts.log(active).count("keeper_term_ended")
        os.kill(pid, signal.SIGCONT)
        await eventually(lambda: pair.parts.log(active).count("keeper_term_ended") > ended, within=20)
        await pair.all_is_proven(askers)
    assert took < TAKEN_OVER_WITHIN
    doubles = "SELECT id FROM event_repeat WHERE source = '/keeper'"
    assert [row["id"] for row in await pair.database.fetch(doubles)] == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_with_half_of_the_workers_and_a_gateway_gone_the_others_do_the_work(
    pair: Pair, number: signal.Signals
) -> None:
    both = await pair.readers()
    assert set(both) == {durable.name for durable in DURABLES}
    assert min(both.values()) >= 2, both
    async with pair.asking() as askers:
        for name in (WORKERS[0], GATEWAYS[0]):
            pid = pair.parts.pid(name)
            assert pid is not None
            os.kill(pid, number)
        before = set(askers[1].promised)
        await eventually(lambda: len(askers[1].promised) > len(before) + 6, within=30)
        async with Proof(pair.parts) as proof:
            await proof.all_end(before, within=40)
        if number == signal.SIGKILL:
            left = await pair.readers()
            assert {name for name in both if not left.get(name)} == set()
        await eventually(pair.nothing_waits, within=40, every=0.2)
        for name in (WORKERS[0], GATEWAYS[0]):
            pid = pair.parts.pid(name)
            if number == signal.SIGSTOP and pid is not None:
                os.kill(pid, signal.SIGCONT)
        await eventually(lambda: _all_but_frozen_have_ended(pair.parts, number), within=20)
        await pair.parts.heal()
        await pair.all_is_proven(askers)


def _all_but_frozen_have_ended(parts: Parts, number: signal.Signals) -> bool:
    return number == signal.SIGSTOP or all(parts.pid(name) is None for name in (WORKERS[0], GATEWAYS[0]))
