"""Where conversations are held: real gateway, keeper and runner; a screener and a router that do as the test says."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import cast
from uuid import UUID

import httpx
from nats.aio.msg import Msg
from pydantic import JsonValue

from consumers._feed import Feed
from consumers._runtime import Slots
from consumers.runner import Runner
from consumers.runner.agent import Agent, Answer, Reporter, Work
from consumers.runner.extractive import ExtractiveAgent
from events import Event, RouteDecided, SessionControl, TaskChecked, TaskControl, TaskReady, TaskSubmitted
from events.codec import decode
from events.streams import RUNNER
from events.subjects import filters_for
from gateway.tenants.settings import QuotaSettings
from storage.database import DatabaseSettings
from storage.lookup import PostgresLookup
from tests.support.eventually import eventually
from tests.support.running_gateway import RunningGateway, running_gateway, settings_for, token
from tests.support.running_keeper import AGENT, Bus, a_bus

Json = dict[str, JsonValue]
BLOCKED, SECRET = "BLOCK ME", "555-0100"
FINDING: Json = {
    "family": "injection",
    "type": "override",
    "severity": "high",
    "field": "goal",
    "start": 0,
    "end": 8,
    "confidence": 1.0,
}


class Guest:
    """An agent that answers with what the test says, or waits, and remembers what it was given."""

    id = AGENT
    capabilities = frozenset({"chat"})
    history_tokens = 8_000

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Be as if new."""
        self.given: list[Work] = []
        self.at_work = 0
        self.most_at_work = 0
        self.stopped = 0
        self.answers: Callable[[Work], str | Exception] = lambda work: f"re: {work.prompt}"
        self.tools: Sequence[tuple[str, Json, Json]] = ()
        self.says: Sequence[str] = ()
        self.tokens = 0
        self.keeps: Sequence[tuple[Json, str | None]] = ()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def called(self, times: int) -> None:
        """Wait until so many turns have reached it."""
        await eventually(lambda: len(self.given) >= times, within=15)

    async def run(self, work: Work, reporter: Reporter) -> Answer:
        self.given.append(work)
        self.at_work += 1
        self.most_at_work = max(self.at_work, self.most_at_work)
        try:
            for tool, parameters, result in self.tools:
                await reporter.used(tool, parameters, result)
            for data, note in self.keeps:
                await reporter.checkpoint(data, note)
            for text in self.says:
                await reporter.say(text)
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        finally:
            self.at_work -= 1
        answer = self.answers(work)
        if isinstance(answer, Exception):
            raise answer
        return Answer({"text": answer}, tokens=self.tokens)


@dataclass
class Parlour:
    """All of it, and clients that talk."""

    bus: Bus
    gateway: RunningGateway
    guest: Guest
    opened: AsyncExitStack
    routes: asyncio.Event = field(default_factory=asyncio.Event)

    async def client(self, owner: str = "alice", tenant: str = "acme", scopes: Sequence[str] | None = None) -> "Talker":
        """Somebody with a token."""
        bearer = token(owner, tenant=tenant) if scopes is None else token(owner, tenant=tenant, scopes=scopes)
        client = await self.opened.enter_async_context(self.gateway.client(bearer))
        return Talker(owner, client)

    async def task_of(self, prompt: str) -> str:
        """The id of the latest turn with this message."""
        query = "SELECT id FROM task WHERE spec ->> 'prompt' = $1 ORDER BY created_at DESC LIMIT 1"
        found = await eventually(lambda: self.bus.database.fetchval(query, prompt))
        return str(found)

    async def waits(self, prompt: str) -> bool:
        """Whether a turn waits for another one."""
        query = "SELECT count(*) FROM task WHERE spec ->> 'prompt' = $1 AND reason = 'session_busy'"
        return bool(await self.bus.database.fetchval(query, prompt))

    async def answered(self, prompt: str) -> bool:
        """Whether the latest turn with this message has its answer in the history."""
        query = "SELECT count(*) FROM message WHERE task_id = $1 AND role = 'assistant'"
        return bool(await self.bus.database.fetchval(query, UUID(await self.task_of(prompt))))

    async def settled(self) -> None:
        """Wait until no turn is open."""

        async def none_open() -> bool:
            return not await self.bus.database.fetchval("SELECT count(*) FROM task WHERE finished_at IS NULL")

        await eventually(none_open, within=60, every=0.1)

    async def retry_at_once(self, attempts: int, prompt: str) -> None:
        """Do not wait for the pauses between the attempts of a turn that fails."""
        for attempt in range(1, attempts):
            await eventually(partial(self._retry, attempt, prompt), within=15)

    async def _retry(self, attempt: int, prompt: str) -> bool:
        query = (
            "SELECT id, tenant, owner, session_id FROM task"
            " WHERE spec ->> 'prompt' = $1 AND status = 'waiting' AND reason = 'retry' AND attempt = $2"
        )
        row = await self.bus.database.fetchrow(query, prompt, attempt)
        if row is None:
            return False
        data = TaskControl(task_id=row["id"], action="retry", by="/janitor", attempt=attempt)
        named = {"tenant": row["tenant"], "owner": row["owner"], "session_id": row["session_id"]}
        await self.bus.publisher.publish(Event.first(data, source="/janitor", task_id=row["id"], **named))
        return True

    async def archive(self, conversation: Json, talker: "Talker") -> None:
        """Put a conversation away."""
        session = id_of(conversation)
        data = SessionControl(session_id=session, action="archive", by=talker.owner)
        event = Event.first(data, source="/gateway", tenant="acme", owner=talker.owner, session_id=session)
        await self.bus.publisher.publish(event)
        await self.bus.folded()

    async def hears(self, client: httpx.AsyncClient) -> None:
        """Wait until a gateway is ready."""
        await eventually(lambda: _hears(client), within=40)

    async def another_gateway(self, database_url: str | None = None, quotas: Path | None = None) -> RunningGateway:
        """One more, on the same servers or with its own way to the database, or with quotas."""
        settings = settings_for(self.bus.nats_url, database_url or self.bus.database_url)
        settings = replace(settings, quotas=QuotaSettings(quotas=quotas))
        return await self.opened.enter_async_context(running_gateway(settings))


@dataclass
class Talker:
    """One user's side."""

    owner: str
    http: httpx.AsyncClient

    @property
    def home(self) -> str:
        return f"/api/{self.owner}"

    async def post(self, message: str, conversation: str | None = None, **headers: str) -> httpx.Response:
        body: Json = {"message": message}
        if conversation is not None:
            body["conversation_id"] = conversation
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(f"{self.home}/chat", json=body, headers=named)

    async def say(self, message: str, conversation: str | None = None, **headers: str) -> Json:
        """A message that is answered."""
        answer = await self.post(message, conversation, **headers)
        assert answer.status_code == 200, answer.text
        return cast("Json", answer.json())

    async def history(self, conversation: str, **query: int) -> Json:
        answer = await self.http.get(f"{self.home}/conversations/{conversation}/history", params=query)
        assert answer.status_code == 200, answer.text
        return cast("Json", answer.json())

    async def stream(self, message: str, conversation: str | None = None) -> list[tuple[str, Json]]:
        """The same as server-sent events, to their end: names and data."""
        body: Json = {"message": message, "conversation_id": conversation}
        headers = {"Accept": "text/event-stream"}
        async with self.http.stream("POST", f"{self.home}/chat", json=body, headers=headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            text = (await answer.aread()).decode()
        events = [dict(line.split(": ", 1) for line in part.split("\n")) for part in text.strip().split("\n\n")]
        return [(event["event"], json.loads(event["data"])) for event in events if "event" in event]


def texts(conversation: Json) -> list[tuple[str, str]]:
    """Role and content of every message."""
    messages = cast("list[Json]", conversation["messages"])
    return [(str(message["role"]), str(message["content"])) for message in messages]


def id_of(conversation: Json) -> str:
    return str(conversation["conversation_id"])


@asynccontextmanager
async def a_parlour(nats_url: str, database_url: str, agent: Agent | None = None) -> AsyncGenerator[Parlour]:
    """Everything is there and heard of; all of it stops afterwards."""
    guest = Guest()
    async with AsyncExitStack() as opened:
        bus = await opened.enter_async_context(a_bus(nats_url, database_url))
        await bus.keeper()
        await opened.enter_async_context(_running(bus, agent or guest))
        gateway = await opened.enter_async_context(running_gateway(settings_for(nats_url, database_url)))
        parlour = Parlour(bus, gateway, guest, opened)
        parlour.routes.set()
        await _screen(bus)
        await _route(bus, parlour.routes)
        talker = await parlour.client()
        await eventually(lambda: _hears(talker.http), within=40)
        yield parlour


async def _screen(bus: Bus) -> None:
    async def check(message: Msg) -> None:
        event = decode(message.data, message.headers)
        if not isinstance(event.data, TaskSubmitted):
            return
        prompt = event.data.spec.prompt
        decision = "block" if BLOCKED in prompt else "redact" if SECRET in prompt else "allow"
        redacted = {"goal": prompt.replace(SECRET, "[PHONE_1]")} if decision == "redact" else None
        reason = "Blocked: injection (family override) in field 'goal'." if decision == "block" else None
        findings = [FINDING] if decision == "block" else []
        verdict = {
            "task_id": event.taskid,
            "decision": decision,
            "redacted": redacted,
            "reason": reason,
            "findings": findings,
        }
        data = TaskChecked.model_validate({**verdict, "rules_version": "1"})
        await bus.publisher.publish(event.caused(data, source="/consumers/reflex"))

    await bus.client.subscribe(filters_for(TaskSubmitted)[0], cb=check)


async def _route(bus: Bus, routes: asyncio.Event) -> None:
    async def choose(message: Msg) -> None:
        event = decode(message.data, message.headers)
        if isinstance(event.data, TaskReady):
            await routes.wait()
            task_id, attempt = event.data.task_id, event.data.attempt
            data = RouteDecided(task_id=task_id, attempt=attempt, agent_id=AGENT, score=1.0, reason="the only one")
            await bus.publisher.publish(event.caused(data, source="/consumers/router"))

    await bus.client.subscribe(filters_for(TaskReady)[0], cb=choose)


@asynccontextmanager
async def _running(bus: Bus, agent: Agent) -> AsyncGenerator[None]:
    settings = DatabaseSettings.model_validate({"database_url": bus.database_url})
    async with PostgresLookup(settings) as lookup:
        runner = Runner([agent], lookup)

        async def start() -> None:
            await runner.listen(bus.client)

        await start()
        running = asyncio.create_task(Feed(bus.client, bus.publisher, Slots(RUNNER, runner.run, start)).run())
        try:
            yield
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


async def _hears(client: httpx.AsyncClient) -> bool:
    checks = (await client.get("/readyz?verbose")).json()["checks"]
    return bool(checks["hub"]["ok"] and checks["nats"]["ok"] and checks["keeper"]["ok"])


def offline() -> ExtractiveAgent:
    """The agent that is built in."""
    return ExtractiveAgent()
