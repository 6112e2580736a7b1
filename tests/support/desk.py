"""Where refinements are asked for and decided, and tasks divided: real gateway, keeper, proposals consumer and planner.

The test is the engine, and every agent.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import cast
from uuid import UUID

import httpx
from pydantic import JsonValue

from consumers._feed import Feed
from consumers._runtime import Flow
from consumers.planner.consumer import Planner
from consumers.proposals import Proposals
from events import Event, EventData, File, RouteDecided, RunFiles, RunFinished, RunStarted, Snapshot, TaskChecked
from events.files import digest_of
from events.ids import derived_id, new_id, run_id
from events.streams import PLANNER, PROPOSALS
from storage.database import DatabaseSettings
from storage.lookup import PostgresLookup
from tests.support.eventually import eventually
from tests.support.running_gateway import RunningGateway, running_gateway, settings_for, token
from tests.support.running_keeper import Bus, Led, a_bus

AGENT = "spec-engine"
Json = dict[str, JsonValue]


@dataclass
class Desk:
    """All of it, and alice's client."""

    bus: Bus
    gateway: RunningGateway
    alice: httpx.AsyncClient
    keeper: Led
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def client(self, owner: str, tenant: str = "acme") -> httpx.AsyncClient:
        """Somebody else's."""
        client = self.gateway.client(token(owner, tenant=tenant))
        self.clients.append(client)
        return client

    async def workflow(self, files: dict[str, str] | None = None, **more: str) -> str:
        """A new workflow of alice's; its id."""
        answer = await self.alice.post("/api/workflows", json={"name": "Greeter", "files": files or {}, **more})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def ask(self, workflow_id: str, headers: Mapping[str, str] = MappingProxyType({})) -> httpx.Response:
        """The answer to a refinement."""
        path = f"/api/workflows/{workflow_id}/refinements"
        return await self.alice.post(path, json={"instructions": "Greet in French."}, headers=headers)

    async def refine(self, workflow_id: str, headers: Mapping[str, str] = MappingProxyType({})) -> "Thread":
        """A refinement, accepted."""
        answer = await self.ask(workflow_id, headers)
        assert answer.status_code == 202, answer.text
        body = answer.json()
        return Thread(self, UUID(body["thread_id"]), body["proposal_id"], workflow_id)

    async def proposed(self, workflow_id: str, files: dict[str, str]) -> "Thread":
        """A refinement whose proposal is decided on."""
        thread = await self.refine(workflow_id)
        await thread.run([files])
        await thread.becomes("completed")
        return thread

    async def draft(self, workflow_id: str) -> dict[str, str]:
        """The draft's texts, by path."""
        files = (await self.alice.get(f"/api/workflows/{workflow_id}/draft")).json()["files"]
        return {path: file["content"] for path, file in files.items()}


@dataclass
class Thread:
    """One refinement, and what its engine says."""

    desk: Desk
    id: UUID
    proposal_id: str
    workflow_id: str
    attempt: int = 1
    last: Snapshot | None = None

    @property
    def url(self) -> str:
        return f"/api/proposals/{self.proposal_id}"

    @property
    def named(self) -> dict[str, object]:
        return {
            "run_id": run_id(self.id, self.attempt),
            "task_id": self.id,
            "attempt": self.attempt,
            "execution_id": derived_id(self.id, "execution", self.attempt),
            "agent_id": AGENT,
        }

    async def get(self, client: httpx.AsyncClient | None = None) -> Json:
        answer = await (client or self.desk.alice).get(self.url)
        assert answer.status_code == 200, answer.text
        return cast("Json", answer.json())

    async def becomes(self, status: str, *, within: float = 15.0) -> Json:
        """The proposal, as soon as it has this status."""
        found: Json = {}

        async def has() -> bool:
            found.update(await self.get())
            assert found["status"] == status, found["status"]
            return True

        await eventually(has, within=within)
        return found

    async def start(self) -> None:
        """Screened, routed, started."""
        if self.attempt == 1:
            await self.say(TaskChecked(task_id=self.id, decision="allow", rules_version="1"))
        await self.say(
            RouteDecided(task_id=self.id, attempt=self.attempt, agent_id=AGENT, score=1.0, reason="the only one")
        )
        await self.say(RunStarted.model_validate(self.named))

    async def snapshot(self, seq: int, files: dict[str, str]) -> None:
        """All files as they are."""
        made = {path: File.of(path, text) for path, text in files.items()}
        event = await self.say(RunFiles.model_validate({**self.named, "snapshot_seq": seq, "files": made}))
        digest = digest_of({path: file.sha256 for path, file in made.items()})
        self.last = Snapshot(event_id=event.id, seq=seq, digest=digest)

    async def finish(self, outcome: str = "succeeded", **more: object) -> None:
        given = {**self.named, "outcome": outcome, "snapshot": self.last, "output": {"text": "Done."}, **more}
        await self.say(RunFinished.model_validate(given))

    async def run(self, snapshots: Sequence[dict[str, str]]) -> None:
        """A whole attempt that goes well."""
        await self.start()
        for seq, files in enumerate(snapshots, 1):
            await self.snapshot(seq, files)
        await self.finish()

    async def say(self, data: EventData, *, source: str = "/consumers/spec_engine") -> Event[EventData]:
        event = Event.first(
            data,
            source=source,
            tenant="acme",
            owner="alice",
            task_id=self.id,
            session_id=self.workflow_id,
            event_id=new_id(),
        )
        await self.desk.bus.publisher.publish(event)
        return event


def texts(shown: Json) -> dict[str, str]:
    """The files of a proposal, path -> text."""
    files = shown["generated_files"]
    assert isinstance(files, dict)
    return {path: str(file["content"]) for path, file in files.items() if isinstance(file, dict)}


@asynccontextmanager
async def a_desk(nats_url: str, database_url: str) -> AsyncGenerator[Desk]:
    """Everything is there and heard of; all of it stops afterwards."""
    async with a_bus(nats_url, database_url) as bus:
        keeper = await bus.keeper()
        async with (
            _reacting(bus, database_url),
            running_gateway(settings_for(nats_url, database_url)) as gateway,
            gateway.client() as alice,
        ):
            await eventually(lambda: _hears(alice))
            desk = Desk(bus, gateway, alice, keeper)
            yield desk
            for client in desk.clients:
                await client.aclose()


@asynccontextmanager
async def _reacting(bus: Bus, database_url: str) -> AsyncGenerator[None]:
    """What reacts to the keeper and is not played by the test."""
    settings = DatabaseSettings.model_validate({"database_url": database_url})
    async with PostgresLookup(settings) as lookup:
        flows = (Flow(PROPOSALS, Proposals(lookup).extract), Flow(PLANNER, Planner(lookup).plan))
        running = [asyncio.create_task(Feed(bus.client, bus.publisher, flow).run()) for flow in flows]
        try:
            yield
        finally:
            for one in running:
                one.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await one


async def _hears(client: httpx.AsyncClient) -> bool:
    checks = (await client.get("/readyz?verbose")).json()["checks"]
    return bool(checks["hub"]["ok"] and checks["nats"]["ok"] and checks["keeper"]["ok"])
