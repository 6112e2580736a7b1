"""Where agents work: NATS with its users, Postgres, Valkey, real keeper, gateway, router and dispatch; no screening."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx
import orjson
from nats.aio.client import Client
from pydantic import JsonValue, SecretStr

from consumers._feed import Feed
from consumers._runtime import Flow, Slots
from consumers.app import _guarded
from consumers.dispatch import Dispatch, Stops
from consumers.push.client import AgentClient
from consumers.push.consumer import Push
from consumers.push.settings import PushSettings
from consumers.router.questions import Questions
from consumers.router.rebuild import Builder
from consumers.router.router import Router
from deploy.local.servers import Servers
from events import Event, EventData, TaskChecked, TaskSubmitted
from events.endpoints import EndpointRules
from events.streams import DISPATCH, PUSH, REFLEX, ROUTER, Durable
from producers.agent import Agent, Context, Task
from producers.agents.work import Returned
from producers.publisher import Publisher
from producers.work_queues import WorkQueues
from screening.sealing import Sealer
from storage.database import DatabaseSettings
from storage.live.store import LiveAgents, RedisSettings
from storage.lookup import PostgresLookup
from tests.support.doorstep import SEAL_KEY, Doorstep, a_doorstep
from tests.support.eventually import eventually
from tests.support.running_gateway import token
from tests.support.running_keeper import connect

REGISTRAR = ("tasks:read", "tasks:write", "agents:write")
Json = dict[str, JsonValue]


async def wave_through(event: Event[EventData]) -> Sequence[EventData]:
    """The verdict on every task: go on."""
    assert isinstance(event.data, TaskSubmitted)
    return [TaskChecked(task_id=event.data.task_id, decision="allow", rules_version="1")]


@dataclass
class Agency:
    """Everything there is, and what was started in it."""

    doorstep: Doorstep
    nats_url: str
    database_url: str
    redis_url: str
    opened: AsyncExitStack
    agents: "list[tuple[Agent, asyncio.Task[None]]]" = field(default_factory=list)

    def http(self, owner: str = "alice", tenant: str = "acme", scopes: Sequence[str] = REGISTRAR) -> httpx.AsyncClient:
        """Somebody's client; close it."""
        return self.doorstep.gateway.client(token(owner, tenant=tenant, scopes=scopes))

    async def router(self) -> "Running":
        """One more router, with a connection of its own."""
        live = await self.opened.enter_async_context(self.live())
        client = await self.client()
        settings = DatabaseSettings(database_url=SecretStr(self.database_url))
        lookup = await self.opened.enter_async_context(PostgresLookup(settings))
        router = Router(live, Builder(live, settings, client).ensure, lookup.task)
        await Questions(await self.opened.enter_async_context(self.live())).listen(client)
        return await self.feed(client, ROUTER, router.route, router.route_all)

    def live(self) -> LiveAgents:
        return LiveAgents(RedisSettings(redis_url=SecretStr(self.redis_url)))

    async def dispatch(self) -> None:
        lookup = await self.opened.enter_async_context(
            PostgresLookup(DatabaseSettings(database_url=SecretStr(self.database_url)))
        )
        client = await self.client()
        await Stops(client).listen()
        await self.feed(client, DISPATCH, Dispatch(lookup, WorkQueues(client)).hand_out)

    async def pusher(self, *, heartbeat: float = 20.0) -> "Running":
        """What calls agents, screened as in the product."""
        lookup = await self.opened.enter_async_context(
            PostgresLookup(DatabaseSettings(database_url=SecretStr(self.database_url)))
        )
        client = await self.client()
        rules, settings = EndpointRules.of(["127.0.0.0/8"]), PushSettings(longest_pause=0.01)
        push = Push(AgentClient(settings, rules), lookup, Sealer.of(SEAL_KEY), heartbeat=heartbeat)
        await push.stops.listen(client)

        async def nothing() -> None: ...

        publisher = await self.opened.enter_async_context(Publisher(client))
        slots = _guarded(Slots(PUSH, push.run, nothing), lookup.placeholders)
        assert isinstance(slots, Slots)
        running = Running(asyncio.create_task(Feed(client, publisher, slots).run()))
        self.opened.push_async_callback(running.stop)
        return running

    async def feed(
        self,
        client: Client,
        durable: Durable,
        handler: Callable[[Event[EventData]], Awaitable[Sequence[EventData | Event[EventData]]]],
        batch: Callable[[Sequence[Event[EventData]]], Awaitable[Sequence[Sequence[EventData | Event[EventData]]]]]
        | None = None,
    ) -> "Running":
        publisher = await self.opened.enter_async_context(Publisher(client))
        feed = Feed(client, publisher, Flow(durable, handler, batch=batch))
        running = Running(asyncio.create_task(feed.run()))
        self.opened.push_async_callback(running.stop)
        return running

    async def start(
        self,
        name: str,
        handler: Callable[[Task, Context], Awaitable[Returned]],
        *,
        tenant: str = "acme",
        capabilities: Sequence[str] = ("answer",),
        slots: int = 1,
        nats_url: str | None = None,
        **more: float,
    ) -> Agent:
        """An outside agent in this process, registered and active."""
        agent = Agent(
            name,
            capabilities,
            slots=slots,
            url=self.doorstep.gateway.url,
            token=token("registrar", tenant=tenant, scopes=REGISTRAR),
            nats_url=nats_url or f"nats://{self.doorstep.where}",
            **more,  # type: ignore[arg-type]  # grace and beat
        )
        agent.handler(handler)
        self.agents.append((agent, asyncio.create_task(agent.serve())))

        async with self.http(tenant=tenant) as http:

            async def heard() -> bool:
                answer = await http.get(f"/api/v1/agents/{name}")
                return bool(answer.status_code == 200 and (answer.json()["reported"] or {}).get("status"))

            await eventually(heard, within=15)
        return agent

    async def leave(self) -> None:
        """All agents are gone."""
        for agent, serving in self.agents:
            agent.drain()
            await asyncio.wait({serving}, timeout=10)
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await serving
        self.agents.clear()

    async def clear(self) -> None:
        """End what waits and deregister who is left: they would be another test's."""
        async with self.http(scopes=("admin",)) as http:
            asked = {"status": ["submitted", "ready", "waiting", "assigned", "running"], "limit": 100}
            for task in (await http.get("/api/v1/tasks", params=asked)).json()["items"]:  # type: ignore[arg-type]  # a list of texts
                await http.post(f"/api/v1/tasks/{task['task_id']}/cancel")
            for agent in (await http.get("/api/v1/agents", params={"limit": 100})).json()["items"]:
                if not agent["built_in"]:
                    await http.delete(f"/api/v1/agents/{agent['id']}")

    async def submit(self, http: httpx.AsyncClient, prompt: str = "Do it.", **more: JsonValue) -> str:
        answer = await http.post("/api/v1/tasks", json={"prompt": prompt, **more})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["task_id"])

    async def task(self, http: httpx.AsyncClient, task_id: str) -> Json:
        found: Json = (await http.get(f"/api/v1/tasks/{task_id}")).json()
        return found

    async def becomes(self, http: httpx.AsyncClient, task_id: str, status: str, *, within: float = 20.0) -> Json:
        found: Json = {}

        async def has() -> bool:
            found.update(await self.task(http, task_id))
            assert found["status"] == status, (found["status"], found["reason"], found["error"])
            return True

        await eventually(has, within=within)
        return found

    async def said(self, task_id: str) -> list[Json]:
        """All events about a task, in order."""
        await self.doorstep.bus.folded()
        query = "SELECT body FROM event_log WHERE task_id = $1 ORDER BY seq"
        return [orjson.loads(row["body"]) for row in await self.doorstep.bus.database.fetch(query, task_id)]

    async def client(self) -> Client:
        """One more connection of ours."""
        client = await connect(self.nats_url)
        self.opened.push_async_callback(client.close)
        return client


@dataclass
class Running:
    """A consumer in this process."""

    task: "asyncio.Task[None]"

    async def stop(self) -> None:
        """As SIGKILL would: what it has in hand is left."""
        self.task.cancel()
        await asyncio.wait({self.task})


@asynccontextmanager
async def an_agency(
    servers: Servers, database_url: str, redis_url: str, *, routers: int = 1, silent_after: float = 90.0
) -> AsyncGenerator[Agency]:
    """Everything is there and heard of; all of it stops afterwards."""
    async with (
        a_doorstep(servers, database_url, silent_after=silent_after) as doorstep,
        AsyncExitStack() as opened,
    ):
        agency = Agency(doorstep, servers.nats_url, database_url, redis_url, opened)
        opened.push_async_callback(agency.leave)
        await agency.feed(await agency.client(), REFLEX, wave_through)
        for _ in range(routers):
            await agency.router()
        await agency.dispatch()
        yield agency
        await agency.leave()
