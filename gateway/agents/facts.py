"""What outside agents state at the door: of their own assignments only, stamped from the task's own row."""

from collections.abc import Callable
from typing import Annotated, Literal, TypeVar
from uuid import UUID

import orjson
from pydantic import BaseModel, Field, field_validator

from events.agent import AgentDeregistered, AgentHeartbeat
from events.base import Event, EventData, JsonObject
from events.files import MAX_SHARED_FILE
from events.ids import run_id
from events.run import (
    CALLER_LOST,
    MAX_CHECKPOINT,
    MAX_DELTA,
    MOST_SPENT,
    File,
    Outcome,
    RunDelta,
    RunEvent,
    RunFiles,
    RunFinished,
    RunProgress,
    RunStarted,
    RunToolCalled,
    Snapshot,
    Usage,
)
from events.task import CODE, TaskError
from gateway.accept import SOURCE
from gateway.agents.errors import OutputTooLargeError
from gateway.auth.sender import Kind
from gateway.door.arrival import Arrival
from gateway.door.rules import Rule, Said, read_said
from gateway.errors import NotFoundError, UnauthorizedError
from gateway.http.values import Whole
from storage.agents import find_assignment, owner_by_line
from storage.reading import Database

MAX_FACT = 700 * 1024
_Number = Annotated[Whole, Field(ge=1, lt=2**31)]
"""What the database keeps as a number in an order; a larger one would be an event that nobody can fold."""


class RunSaid(Said):
    """What every fact of a run names."""

    task_id: UUID
    attempt: _Number
    execution_id: UUID


class StartedSaid(RunSaid):
    """The agent began."""


class UsageSaid(Usage):
    """What a run spent: nobody is given anything back, and sums stay numbers."""

    tokens: int = Field(default=0, ge=0, le=MOST_SPENT)
    cost_usd: float = Field(default=0.0, ge=0, le=MOST_SPENT)
    ms: float = Field(default=0.0, ge=0, le=MOST_SPENT)


class ProgressSaid(RunSaid):
    """The agent lives."""

    seq: _Number
    percent: float | None = Field(default=None, ge=0, le=100)
    note: str | None = Field(default=None, max_length=2_000)
    usage: UsageSaid | None = None
    checkpoint: JsonObject | None = None


class FilesSaid(RunSaid):
    """All files as they are now, or one large one alone (`part`)."""

    snapshot_seq: _Number
    files: dict[str, File] = Field(max_length=500)
    part: bool = False


class DeltaSaid(RunSaid):
    """A piece of what the agent is saying, at its place in the whole; it is shown to who listens and kept by nobody."""

    seq: _Number
    offset: Annotated[Whole, Field(ge=0, lt=2**31)]
    text: str = Field(min_length=1, max_length=MAX_DELTA)


class ToolCalledSaid(RunSaid):
    """A tool was used."""

    seq: _Number
    tool: str = Field(min_length=1, max_length=200)
    parameters: JsonObject = Field(default_factory=dict)
    result: JsonObject | None = None
    status: Literal["succeeded", "failed"] = "succeeded"


class SaidError(TaskError):
    """Why it failed; the code is for programs, of letters, digits, `_`, `-` and `.`, and at most 64 of them."""

    code: str = Field(pattern=rf"^{CODE}$")

    @field_validator("code")
    @classmethod
    def _its_own(cls, code: str) -> str:
        """An agent that is heard here was called by nobody."""
        if code == CALLER_LOST:
            raise ValueError("is not an agent's to say")
        return code


class FinishedSaid(RunSaid):
    """The agent ended."""

    outcome: Outcome
    output: JsonObject | None = None
    error: SaidError | None = None
    usage: UsageSaid = UsageSaid()
    quality: float | None = Field(default=None, ge=0, le=1)
    snapshot: Snapshot | None = None


class BeatSaid(Said):
    """The agent lives, and says how busy it believes itself to be."""

    status: Literal["healthy", "degraded", "busy", "offline"] = "healthy"
    in_flight: Whole | None = Field(default=None, ge=0)
    load: float | None = Field(default=None, ge=0)
    metrics: JsonObject = Field(default_factory=dict)


class LeavingSaid(Said):
    """The agent leaves."""

    drain: bool = False
    reason: str | None = Field(default=None, max_length=500)


S = TypeVar("S", bound=RunSaid)


class RunRule:
    """One kind of fact about a run: the task must be in this agent's hands, whatever it says of itself."""

    who: Kind = "agent"
    scope: str | None = None

    def __init__(self, payload: type[RunEvent], said: type[RunSaid], engine: Database) -> None:
        self.payload: type[EventData] = payload
        self.said: type[BaseModel] = said
        self._make = payload
        self._read = said
        self._engine = engine

    async def admit(self, arrival: Arrival) -> Event[EventData]:
        """The fact, stamped. Raises NotFoundError for what is not the agent's, OutputTooLargeError."""
        _must_fit(arrival.attributes.data)
        said = read_said(self._read, arrival)
        sender = arrival.sender
        found = await find_assignment(self._engine, sender.tenant, sender.name, sender.token_mark, said.task_id)
        if found is None:
            raise NotFoundError("There is no such task in your hands.")
        values = {name: getattr(said, name) for name in type(said).model_fields}
        data = self._make(run_id=run_id(said.task_id, said.attempt), agent_id=sender.name, **values)
        event: Event[EventData] = Event.first(
            data,
            source=SOURCE,
            tenant=found.tenant,
            owner=found.owner,
            task_id=said.task_id,
            session_id=found.session_id,
            event_id=arrival.event_id,
            traceparent=arrival.traceparent,
        )
        return event.model_copy(update={"correlationid": found.correlation_id})


class SelfRule:
    """What an agent says of itself."""

    who: Kind = "agent"
    scope: str | None = None

    def __init__(
        self, payload: type[EventData], said: type[Said], make: Callable[[str, Said], EventData], engine: Database
    ) -> None:
        self.payload = payload
        self.said: type[BaseModel] = said
        self._make = make
        self._read = said
        self._engine = engine

    async def admit(self, arrival: Arrival) -> Event[EventData]:
        """The event about the agent itself. Raises NotFoundError; UnauthorizedError if it was registered anew since."""
        said, sender = read_said(self._read, arrival), arrival.sender
        found = await owner_by_line(self._engine, sender.tenant, sender.name, sender.token_mark)
        if found is None:
            raise NotFoundError("You are not registered.")
        owner, is_present = found
        if not is_present:
            raise UnauthorizedError("You were registered anew since: another token is yours now.")
        return Event.first(
            self._make(sender.name, said),
            source=SOURCE,
            tenant=sender.tenant,
            owner=owner,
            event_id=arrival.event_id,
            traceparent=arrival.traceparent,
        )


def agent_rules(engine: Database) -> list[Rule]:
    """All that an outside agent may state."""
    return [
        RunRule(RunStarted, StartedSaid, engine),
        RunRule(RunProgress, ProgressSaid, engine),
        RunRule(RunFiles, FilesSaid, engine),
        RunRule(RunDelta, DeltaSaid, engine),
        RunRule(RunToolCalled, ToolCalledSaid, engine),
        RunRule(RunFinished, FinishedSaid, engine),
        SelfRule(AgentHeartbeat, BeatSaid, _beat, engine),
        SelfRule(AgentDeregistered, LeavingSaid, _leaving, engine),
    ]


def _beat(agent_id: str, said: Said) -> EventData:
    return AgentHeartbeat(agent_id=agent_id, **said.model_dump())


def _leaving(agent_id: str, said: Said) -> EventData:
    return AgentDeregistered(agent_id=agent_id, by=agent_id, **said.model_dump())


def _must_fit(data: JsonObject) -> None:
    """Raise OutputTooLargeError for a fact, or a file among others, that is too large."""
    if len(orjson.dumps(data)) > MAX_FACT:
        raise OutputTooLargeError
    kept = data.get("checkpoint")
    if isinstance(kept, dict) and len(orjson.dumps(kept)) > MAX_CHECKPOINT:
        raise OutputTooLargeError("A checkpoint has 64 KiB at most.")
    files = data.get("files")
    if not isinstance(files, dict) or data.get("part"):
        return
    for file in files.values():
        content = file.get("content") if isinstance(file, dict) else None
        if isinstance(content, str) and len(content.encode("utf-8", "surrogatepass")) > MAX_SHARED_FILE:
            raise OutputTooLargeError
