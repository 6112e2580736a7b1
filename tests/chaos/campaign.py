"""One campaign: steady load, faults in a random order, heal, drain, check. The seed gives the same faults again."""

import asyncio
import contextlib
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import httpx

from events.task import FINAL
from tests.chaos.checker import Checker, Verdict, promised_to_the_log
from tests.chaos.faults import Fault
from tests.chaos.load import Client, Request
from tests.chaos.site import Site, running_site
from tests.support.eventually import PATIENCE, eventually
from tests.support.sweep_log import resent_in

OWNERS = 4
_EACH_ITS_OWN = httpx.Limits(max_connections=None, max_keepalive_connections=0)
"""A connection a request: httpx's pool loses places when a gateway is killed again and again, until none is left."""
DRAIN = 75.0
_RECOVERED_WITHIN = 60.0
_STRUCK_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: so many requests at so many a second, and these faults in an order that the seed draws.

    Each fault waits until the one before has healed. With an `outsider` some of the tasks are for an agent of
    somebody else's.
    """

    requests: int
    per_second: float
    faults: Sequence[Fault]
    seed: int
    sweep: bool = True
    outsider: bool = False


@dataclass(slots=True)
class Report:
    """What came of it. Times in seconds."""

    plan: Plan
    verdict: Verdict
    faults: Counter[str] = field(default_factory=Counter)
    resent: int = 0
    recoveries: list[tuple[float, str]] = field(default_factory=list)
    drained_in: float = 0.0
    took: float = 0.0
    refused: Counter[str] = field(default_factory=Counter)
    rebuilt_the_same: bool = True
    stuck: list[str] = field(default_factory=list)

    @property
    def longest_recovery(self) -> float:
        """Of those that were waited for."""
        return max((seconds for seconds, _ in self.recoveries), default=0.0)

    @property
    def problems(self) -> dict[str, list[str]]:
        """All that must not be."""
        found = dict(self.verdict.violations)
        if self.stuck:
            found["recovery"] = [f"nothing was accepted for a minute after: {name}" for name in self.stuck]
        if not self.rebuilt_the_same:
            found["rebuild"] = ["the log gives other rows"]
        return found


async def run(plan: Plan) -> Report:
    """Carry the plan out on a site of its own."""
    began = time.monotonic()
    dice = random.Random(plan.seed)
    clocks = any(fault.group == "clock" for fault in plan.faults)
    async with (
        running_site(sweep=plan.sweep, clocks=clocks, outsider=plan.outsider) as site,
        _clients(site, dice, outsider=plan.outsider) as clients,
    ):
        campaign = Campaign(plan, site, clients, dice)
        report = await campaign.run()
    report.took = time.monotonic() - began
    return report


class Campaign:
    """The faults of one plan against one site and its clients."""

    def __init__(self, plan: Plan, site: Site, clients: Sequence[Client], dice: random.Random) -> None:
        self._plan = plan
        self._site = site
        self._clients = clients
        self._dice = dice
        self._exempt: set[str] = set()
        self._unanswered: list[Request] = []
        self._report = Report(plan, Verdict())

    async def run(self) -> Report:
        """Load and faults side by side, then heal, drain and check."""
        asking = self._start_asking()
        try:
            order = list(self._plan.faults)
            self._dice.shuffle(order)
            for fault in order:
                await self._strike(fault)
                if self._report.stuck:
                    break
            async with asyncio.timeout(None if not self._report.stuck else 0):
                await asyncio.gather(*asking)
        except TimeoutError:
            pass  # nothing is accepted any more, and the report says after what
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        return await self._judge()

    def _start_asking(self) -> list[asyncio.Task[None]]:
        count, every = self._plan.requests // len(self._clients) - 1, len(self._clients) / self._plan.per_second
        return [asyncio.create_task(client.ask(count, every)) for client in self._clients]

    async def _strike(self, fault: Fault) -> None:
        await asyncio.sleep(self._dice.uniform(0.1, 0.6))
        self._report.faults[fault.name] += 1
        # Both sides of the stroke: what is promised to the log while it happens may be gone too.
        if fault.loses_log:
            await self._exempt_what_may_be_lost()
        try:
            async with asyncio.timeout(_STRUCK_WITHIN):
                await fault.strike(self._site, self._dice)
        except TimeoutError:
            self._report.stuck.append(f"{fault.name}, which itself did not end")
            return
        if fault.loses_log:
            await self._exempt_what_may_be_lost()
        healed = time.monotonic()
        try:
            await eventually(lambda: self._accepts_again(healed), within=_RECOVERED_WITHIN, every=0.02)
        except AssertionError:
            self._report.stuck.append(fault.name)
        self._report.recoveries.append((time.monotonic() - healed, fault.name))

    async def _exempt_what_may_be_lost(self) -> None:
        self._exempt |= promised_to_the_log(self._all_requests(), await self._known())
        # Their events may be lost already, and their answers still on the way.
        self._unanswered += [request for request in self._all_requests() if not request.ids]

    async def _known(self) -> dict[UUID, str]:
        async with self._database() as database:
            rows = await database.fetch("SELECT id, spec->>'prompt' AS prompt FROM task")
        return {row["id"]: row["prompt"] for row in rows}

    def _all_requests(self) -> list[Request]:
        return [request for client in self._clients for request in client.requests]

    def _accepts_again(self, since: float) -> bool:
        """Whether something was promised in full since then, or nobody waits for an answer."""
        newest = [request for client in self._clients for request in client.requests[-200:]]
        waiting = any(not request.ids for request in newest)
        return not waiting or any(r.accepted_at > since and r.durability == "log+database" for r in newest)

    async def _judge(self) -> Report:
        report, site = self._report, self._site
        await self._drain()
        report.verdict = await Checker(self._clients, site.calls, self._exempt).check(site.parts.database_url)
        report.resent = sum(resent_in(site.parts.log(name)) for name in ("keeper", "standby"))
        report.rebuilt_the_same = await site.parts.run("consumers.keeper.rebuild", "--check")
        for client in self._clients:
            report.refused.update(client.refused)
        return report

    async def _drain(self) -> None:
        """Wait until all that was promised has ended, was told and was seen; the checker names the rest."""
        began = time.monotonic()
        self._exempt |= promised_to_the_log(self._unanswered, await self._known())
        with contextlib.suppress(AssertionError):
            await self._all_has_ended()
            self._report.drained_in = time.monotonic() - began
            # Once everything is told, the end of one more request is the last that a subscriber sees.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE * DRAIN):
                    await asyncio.gather(*(client.ask_the_last() for client in self._clients), return_exceptions=True)
            await self._all_has_ended()

    async def _all_has_ended(self) -> None:
        """Wait until every promise has ended and its states are in the log. Raises AssertionError."""
        wanted = [UUID(one) for client in self._clients for one in self._promised(client)]
        async with self._database() as database:

            async def all_ended() -> bool:
                ended, to_be_told, open_turns = await database.fetchrow(_ENDED, wanted, list(FINAL)) or (0, 1, 0)
                return bool(ended == len(wanted) and not to_be_told and not open_turns)

            await eventually(all_ended, within=DRAIN, every=0.1)

    def _promised(self, client: Client) -> set[str]:
        return {one for request in client.requests for one in request.ids} - self._exempt

    @asynccontextmanager
    async def _database(self) -> AsyncGenerator["asyncpg.Connection[asyncpg.Record]"]:
        connection = await asyncpg.connect(self._site.parts.database_url)
        try:
            yield connection
        finally:
            await connection.close()


_ENDED = """
SELECT (SELECT count(*) FROM task WHERE id = ANY($1::uuid[]) AND status = ANY($2::text[])),
  (SELECT count(*) FROM outbox),
  (SELECT count(*) FROM task WHERE kind = 'turn' AND status <> ALL($2::text[]))
"""


@asynccontextmanager
async def _clients(site: Site, dice: random.Random, *, outsider: bool) -> AsyncGenerator[list[Client]]:
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(OWNERS):
            owner = f"o-{uuid.uuid4().hex[:12]}"
            http = await stack.enter_async_context(site.parts.client(owner, _EACH_ITS_OWN))
            live = await stack.enter_async_context(site.parts.follower(owner))
            clients.append(Client(owner, http, live, random.Random(dice.random()), outsider=outsider))
        for client in clients:
            client.others = [other for other in clients if other is not client]
        yield clients
