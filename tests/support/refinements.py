"""The consumer of refinements beside a stub or a real engine, driven by hand: what it says, in order."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from consumers._engine.client import SpecEngineClient
from consumers._engine.settings import EngineSettings
from consumers.spec_engine import SpecEngine
from events.agent import ENGINE_AGENT
from events.base import Event, EventData
from events.ids import new_id, run_id
from events.run import RunFiles, RunFinished
from events.task import Status, TaskAssigned, TaskContext, TaskEntered, TaskSpec
from storage.lookup import TaskView
from storage.specifications import BaseFiles
from tests.support.lookups import NoLookup


def engine_settings(url: str, **more: object) -> EngineSettings:
    """Settings with short times."""
    quick = {"longest_pause": 0.02, "poll": 0.05, "settle": 0.4, "stall": 8.0, "breaker_pause": 0.3}
    return EngineSettings.model_validate({"url": url, "token": "a-service-token-of-the-tests", **quick, **more})


class OneRefinement(NoLookup):
    """The row of one refinement, and the draft it is for."""

    def __init__(self, prompt: str = "Greet users.", *, draft: Mapping[str, str] | None = None, **spec: object) -> None:
        self.task_id = new_id()
        self.draft = dict(draft or {})
        self.view = TaskView(
            id=self.task_id,
            tenant="t",
            owner="o",
            session_id=None,
            status="assigned",
            attempt=1,
            agent_id=ENGINE_AGENT,
            run_id=run_id(self.task_id, 1),
            execution_id=None,
            spec=TaskSpec.model_validate({"kind": "refinement", "prompt": prompt, **spec}),
            redacted={},
        )

    def enter(self, status: Status, *, attempt: int = 1, execution_id: UUID | None = None) -> None:
        """Put the row into a state."""
        self.view = replace(
            self.view,
            status=status,
            attempt=attempt,
            run_id=run_id(self.task_id, attempt),
            execution_id=execution_id,
        )

    async def task(self, task_id: UUID) -> TaskView | None:
        return self.view if task_id == self.task_id else None

    async def base_files(self, task_id: UUID) -> BaseFiles | None:
        assert task_id == self.task_id
        return BaseFiles(1, self.draft)

    def assigned(self, agent_id: str = ENGINE_AGENT) -> Event[EventData]:
        """The event that hands it to the agent."""
        data = TaskAssigned(
            task_id=self.task_id,
            kind="refinement",
            from_status="ready",
            version=4,
            attempt=self.view.attempt,
            agent_id=agent_id,
            run_id=self.view.run_id,
        )
        return Event.first(data, source="/keeper", tenant="t", owner="o", task_id=self.task_id)

    def entered(self, kind: type[TaskEntered]) -> TaskEntered:
        """That the keeper says it entered a state."""
        return kind(task_id=self.task_id, kind="refinement", from_status="running", version=6, attempt=1)


def about(file_path: str, selection: str) -> TaskContext:
    """The context of a refinement that is about a place in a file."""
    return TaskContext(data={"context_file_path": file_path, "context_selection": selection})


class Driven:
    """One consumer and all facts of one run so far."""

    def __init__(self, settings: EngineSettings, refinement: OneRefinement) -> None:
        self.client = SpecEngineClient(settings)
        self.consumer = SpecEngine(self.client, refinement, settings)
        self.refinement = refinement
        self.facts: list[EventData] = []
        self.event = refinement.assigned()

    async def run(self, within: float = 60.0, event: Event[EventData] | None = None) -> list[EventData]:
        """Run to the end."""
        try:
            async with asyncio.timeout(within):
                async for fact in self.consumer.run(event or self.event):
                    self.facts.append(fact)
        finally:
            await self.client.close()
        return self.facts

    def names(self) -> list[str]:
        """`started`, `files`, …, each once in a row; text and signs of life left out."""
        names = [fact.event_name for fact in self.facts if fact.event_name not in ("delta", "progress")]
        return [name for place, name in enumerate(names) if place == 0 or names[place - 1] != name]

    def finished(self) -> RunFinished:
        last = self.facts[-1]
        assert isinstance(last, RunFinished), self.names()
        return last

    def files(self) -> dict[str, str]:
        """The last snapshot, put together from its parts; the end names it."""
        texts: dict[str, str] = {}
        last: RunFiles | None = None
        for fact in self.facts:
            if isinstance(fact, RunFiles):
                texts |= {file.sha256: file.content for file in fact.files.values() if file.content is not None}
                last = last if fact.part else fact
        assert last is not None
        named = self.finished().snapshot
        assert named is not None
        assert (named.seq, named.event_id) == (last.snapshot_seq, last.event_id("/consumers/spec_engine"))
        return {path: texts[file.sha256] for path, file in last.files.items()}

    def of(self, kind: type[EventData]) -> list[EventData]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


async def ran(url: str, refinement: OneRefinement | None = None, **settings: object) -> Driven:
    """A whole run."""
    driven = Driven(engine_settings(url, **settings), refinement or OneRefinement())
    await driven.run()
    return driven
