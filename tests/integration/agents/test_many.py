"""Tasks over 20 agents with mixed capabilities, three of which are killed and two of which lie about their load.

All end, no agent ever has more than its capacity, and the log has a reason for every decision.
"""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from nats.aio.msg import Msg

from deploy.local.servers import Servers
from events import Event, EventData, TaskAssigned
from events.codec import decode
from events.subjects import filters_for
from events.task import FOR_OUTSIDE
from producers.agent import Context, Task
from tests.support.agency import REGISTRAR, Agency, Json, an_agency
from tests.support.databases import fresh_database
from tests.support.eventually import eventually
from tests.support.infrastructure import SharedServers, server_folder
from tests.support.registering import about, heartbeat, offer
from tests.support.running_gateway import token
from tests.support.running_keeper import finished, started, submitted

pytestmark = pytest.mark.asyncio(loop_scope="module")

TASKS = int(os.environ.get("MANY_TASKS", "250"))
"""The release is shown with 1,000, which take a minute of two cores."""
KNOWN = 5
ENOUGH = 100
"""Open tasks with which 20 agents have their hands full."""
SKILLS = ("read", "write", "draw", "count")
HELD = {"task.assigned", "task.running"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers() -> AsyncGenerator[Servers]:
    """NATS and Valkey of this module's own."""
    with server_folder() as folder:
        async with Servers(folder, postgres=False) as servers:
            yield servers


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def agency(servers: Servers, shared: SharedServers, template: str) -> AsyncGenerator[Agency]:
    """Two routers, and agents count as silent after four seconds."""
    async with (
        fresh_database(shared.database_url, template=template) as url,
        an_agency(servers, url, servers.redis_url, routers=2, silent_after=10.0) as agency,
    ):
        yield agency


def skills(number: int) -> list[str]:
    """One or two of the four, so that every pair is somebody's."""
    return sorted({SKILLS[number % 4], SKILLS[(number // 4) % 4]})


@asynccontextmanager
async def processes(agency: Agency, names: list[str]) -> AsyncGenerator[dict[str, asyncio.subprocess.Process]]:
    """Agents of their own processes; whoever still lives is killed afterwards."""
    env = {
        **os.environ,
        "GANGLION_URL": agency.doorstep.gateway.url,
        "GANGLION_TOKEN": token("registrar", tenant="t", scopes=REGISTRAR),
        "GANGLION_NATS_URL": f"nats://{agency.doorstep.where}",
    }
    started = {
        name: await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.agent_process", name, ",".join(SKILLS), "4", env=env
        )
        for name in names
    }
    try:
        yield started
    finally:
        for process in started.values():
            if process.returncode is None:
                process.kill()
            await process.wait()


async def publish(agency: Agency, count: int, skills: Sequence[str] = SKILLS) -> list[Event[EventData]]:
    """Tasks that need one or two skills each."""
    most = min(2, len(skills))
    events = [
        submitted(f"task {n}", required_capabilities=random.sample(skills, random.randint(1, most)))
        for n in range(count)
    ]
    for start in range(0, count, 100):
        sent = await agency.doorstep.bus.publisher.send_all(events[start : start + 100])
        await asyncio.gather(*sent)
    return events


async def lying(agent: object, **said: float | str) -> None:
    """What this agent says of its load has nothing to do with it."""
    worker = agent._worker  # type: ignore[attr-defined]  # it works

    async def lie() -> None:
        await worker._state("agent.heartbeat", said)

    worker._say_alive = lie


@pytest.mark.timeout(240)
async def test_many_tasks_end_within_capacity_though_agents_die_and_lie(agency: Agency) -> None:
    random.seed(4)
    done: Counter[str] = Counter()

    def handler(name: str) -> object:
        async def work(task: Task, _: Context) -> str:
            await asyncio.sleep(random.uniform(0.0, 0.02))
            done[name] += 1
            return task.prompt

        return work

    capacities = {f"AGENT-{n:02}": random.randint(1, 5) for n in range(17)}
    doomed = ["AGENT-DOOMED-A", "AGENT-DOOMED-B", "AGENT-DOOMED-C"]
    async with processes(agency, doomed) as living:
        for number, (name, slots) in enumerate(capacities.items()):
            work = handler(name)
            agent = await agency.start(
                name,
                work,  # type: ignore[arg-type]  # a handler
                tenant="t",
                capabilities=[*skills(number), *(["know"] if number == 1 else [])],
                slots=slots,
                beat=1.0,
            )
            if number == 0:
                await lying(agent, status="healthy", in_flight=0, load=0.0)
            if number == 1:
                await lying(agent, status="busy", in_flight=500, load=99.0)
        await eventually(lambda: registered(agency, doomed), within=30)
        events = [*await publish(agency, TASKS - KNOWN), *await publish(agency, KNOWN, skills=("know",))]

        async def has_worked(name: str) -> bool:
            if await open_tasks(agency) < ENOUGH:  # there is work until the last of them has died, but no heap of it
                events.extend(await publish(agency, 5))
            return await has_some_done_and_some_in_hand(agency, name)

        for name in doomed:
            await eventually(lambda name=name: has_worked(name), within=60, every=0.2)  # type: ignore[misc]  # mypy cannot infer it
            living[name].send_signal(signal.SIGKILL)
        await eventually(lambda: all_ended(agency, events), within=150, every=0.25)
    await agency.doorstep.bus.folded(within=30)
    log = [said for _, said in await agency.doorstep.bus.stream()]
    assert_within_capacity(log, {**capacities, **dict.fromkeys(doomed, 4)})
    assert_reasoned(log, {str(event.taskid) for event in events})
    lost = await agency.doorstep.bus.database.fetchval("SELECT count(*) FROM run WHERE status = 'lost'")
    assert lost >= 1  # somebody died at work
    assert done["AGENT-01"] >= KNOWN  # who says that it is overloaded is not believed
    await agency.leave()


async def test_two_routers_give_an_agent_of_capacity_one_never_two_of_two_hundred_tasks(agency: Agency) -> None:
    """The agent answers at once, past the doors: what is looked at here is who gets a slot when."""
    bus = agency.doorstep.bus
    answering: set[asyncio.Task[None]] = set()

    async def answer(message: Msg) -> None:
        assigned = decode(message.data, message.headers)
        if isinstance(assigned.data, TaskAssigned) and assigned.data.agent_id == "AGENT-ALONE":
            for fact in (started(assigned, agent_id="AGENT-ALONE"), finished(assigned, agent_id="AGENT-ALONE")):
                await bus.say(assigned, fact)

    await bus.client.subscribe(filters_for(TaskAssigned, FOR_OUTSIDE)[0], cb=answer)
    await bus.publisher.publish(about(offer("AGENT-ALONE", capabilities={"alone": 1.0}, capacity=1)))

    async def live() -> None:
        while True:
            await bus.publisher.publish(about(heartbeat("AGENT-ALONE")))
            await asyncio.sleep(1)

    answering.add(asyncio.create_task(live()))
    begun = len(await bus.stream())
    events = await publish(agency, 200, skills=("alone",))
    await eventually(lambda: all_ended(agency, events), within=80, every=0.1)
    await bus.folded()  # the last end is committed before it is in the log
    log = [said for _, said in await bus.stream()][begun:]
    for task in answering:
        task.cancel()
    assert_within_capacity(log, {"AGENT-ALONE": 1})
    failed = [said for said in log if said["type"] == "io.ganglion.route.failed.v1"]
    assert 150 <= len(failed) <= 200  # one reason for each that had to wait, told once


async def test_redis_dies_under_load_and_no_task_and_no_slot_is_lost(agency: Agency, servers: Servers) -> None:
    async def work(task: Task, _: Context) -> str:
        await asyncio.sleep(random.uniform(0.0, 0.05))
        return task.prompt

    for name in ("AGENT-X", "AGENT-Y"):
        await agency.start(name, work, tenant="t", capabilities=["survive"], slots=3, beat=1.0)
    sending = asyncio.create_task(publish(agency, 150, skills=("survive",)))
    for _ in range(2):
        await asyncio.sleep(0.5)  # somewhere in the middle of it
        await servers.valkey.kill()
        await servers.valkey.start()
    events = await sending
    await eventually(lambda: all_ended(agency, events), within=80, every=0.1)

    async def all_free() -> bool:
        async with agency.live() as live:
            await live.apply([])
            return all(agent.in_flight == 0 for agent in live.view.values())

    await eventually(all_free, within=15)


async def registered(agency: Agency, names: list[str]) -> bool:
    async with agency.http(tenant="t") as http:
        shown = (await http.get("/api/v1/agents", params={"limit": 100})).json()["items"]
    return set(names) <= {agent["id"] for agent in shown if agent["reported"]}


async def has_some_done_and_some_in_hand(agency: Agency, name: str) -> bool:
    row = await agency.doorstep.bus.database.fetchrow(
        "SELECT count(*) FILTER (WHERE status = 'succeeded') AS done, count(*) FILTER (WHERE status = 'running') AS now"
        " FROM run WHERE agent_id = $1",
        name,
    )
    return row is not None and row["done"] >= 3 and row["now"] >= 1


async def open_tasks(agency: Agency) -> int:
    return int(await agency.doorstep.bus.database.fetchval("SELECT count(*) FROM task WHERE finished_at IS NULL"))


async def all_ended(agency: Agency, events: Sequence[Event[EventData]]) -> bool:
    rows = await agency.doorstep.bus.database.fetch(
        "SELECT status, reason, count(*) AS n FROM task WHERE id = ANY($1) GROUP BY 1, 2",
        [event.taskid for event in events],
    )
    states = {(row["status"], row["reason"]): row["n"] for row in rows}
    assert states == {("succeeded", None): len(events)}, states
    return True


def assert_within_capacity(log: list[dict[str, object]], capacities: dict[str, int]) -> None:
    """In the order of the log, no agent holds more than it may."""
    held: dict[str, str] = {}
    now: Counter[str] = Counter()
    for said in log:
        name = str(said["type"]).removeprefix("io.ganglion.").removesuffix(".v1")
        if said["source"] != "/keeper" or not name.startswith("task."):
            continue
        task = str(said["subject"])
        if name == "task.assigned":
            agent = str(said["data"]["agent_id"])  # type: ignore[index]  # JSON
            held[task] = agent
            now[agent] += 1
            assert now[agent] <= capacities[agent], (agent, now[agent])
        elif name not in HELD and task in held:
            now[held.pop(task)] -= 1
    assert not held


def assert_reasoned(log: list[dict[str, object]], tasks: set[str]) -> None:
    """Each decision names a reason, the parts of each score, and why each other agent was passed over."""
    decided: Counter[str] = Counter()
    for said in log:
        data: Json = said["data"]  # type: ignore[assignment]  # JSON
        if str(said["type"]).startswith("io.ganglion.route."):
            assert data["reason"]
            candidates: list[Json] = data["candidates"]  # type: ignore[assignment]  # JSON
            assert all(one.get("excluded") or (one["parts"] and one["score"]) for one in candidates)
            if said["type"] == "io.ganglion.route.decided.v1":
                decided[str(data["task_id"])] += 1
                assert data["agent_id"] in {one["agent_id"] for one in candidates}
    assert set(decided) == tasks
