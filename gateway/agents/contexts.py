"""What an outside agent may change of contexts: those that its task's owner lets it write, while it runs."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from events.base import Event, EventData
from events.context import ContextChange
from gateway.accept import SOURCE
from gateway.auth.sender import Kind
from gateway.contexts.errors import ContextNotFoundError
from gateway.contexts.requests import ChangeContextRequest
from gateway.door.arrival import Arrival
from gateway.door.rules import read_said
from gateway.errors import NotFoundError
from storage.agents import find_assignment
from storage.contexts import find_context
from storage.reading import Database


class ChangeByAgent(ChangeContextRequest):
    """A context changed step by step, in the name of a run; the rest is the body of PATCH /api/v1/contexts/{id}."""

    task_id: UUID
    attempt: int = Field(ge=1, lt=2**31)
    execution_id: UUID
    action: Literal["change"]
    context_id: UUID


class AgentContextRule:
    """context.change from an agent: the keeper looks whether the run is at work and its task lets it."""

    payload: type[EventData] = ContextChange
    said: type[BaseModel] = ChangeByAgent
    who: Kind = "agent"
    scope: str | None = None

    def __init__(self, engine: Database) -> None:
        self._engine = engine

    async def admit(self, arrival: Arrival) -> Event[EventData]:
        """The change, as its owner's. Raises NotFoundError, ContextNotFoundError."""
        said, sender = read_said(ChangeByAgent, arrival), arrival.sender
        task = await find_assignment(self._engine, sender.tenant, sender.name, sender.token_mark, said.task_id)
        if task is None:
            raise NotFoundError("There is no such task in your hands.")
        row = await find_context(self._engine, said.context_id)
        if row is None or (row.about.tenant, row.about.owner) != (task.tenant, task.owner):
            raise ContextNotFoundError
        data = ContextChange(
            context_id=said.context_id,
            action="change",
            by=sender.name,
            ops=said.steps(),
            expected_version=said.expected_version,
            execution_id=said.execution_id,
        )
        event: Event[EventData] = Event.first(
            data,
            source=SOURCE,
            tenant=task.tenant,
            owner=task.owner,
            task_id=said.task_id,
            session_id=row.about.session_id or str(said.context_id),
            event_id=arrival.event_id,
            traceparent=arrival.traceparent,
        )
        return event.model_copy(update={"correlationid": task.correlation_id})
