"""What a user may command of contexts through the door: as the routes of HTTP have it."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, RootModel

from events.base import Event, EventData
from events.context import ContextChange
from gateway.auth.bearer import WRITE
from gateway.auth.sender import Kind
from gateway.contexts.acting import find_for
from gateway.contexts.requests import (
    ChangeContextRequest,
    CreateContextRequest,
    MergeRequest,
    PromoteRequest,
    ShareRequest,
)
from gateway.door.arrival import Arrival
from gateway.door.rules import Said, read_said
from gateway.door.tasks import stamped
from gateway.http.values import Version
from storage.contexts import ContextSummary
from storage.reading import Database


class CreateContextCommand(CreateContextRequest):
    """A context made; its id follows from the sender, the event's source and its id."""

    action: Literal["create"]


class ChangeContextCommand(ChangeContextRequest):
    """A context changed step by step."""

    action: Literal["change"]
    context_id: UUID


class MergeContextCommand(MergeRequest):
    """Contexts joined into one."""

    action: Literal["merge"]


class ShareContextCommand(ShareRequest):
    """A context copied into another session; the copy's id follows as that of one that is made."""

    action: Literal["share"]
    context_id: UUID


class PromoteContextCommand(PromoteRequest):
    """A context made global."""

    action: Literal["promote"]
    context_id: UUID


class DeleteContextCommand(Said):
    """A context deleted."""

    action: Literal["delete"]
    context_id: UUID
    expected_version: Version | None = None


_About = ChangeContextCommand | MergeContextCommand | ShareContextCommand | PromoteContextCommand | DeleteContextCommand


class ContextSaid(RootModel[Annotated[CreateContextCommand | _About, Field(discriminator="action")]]):
    """One of them, by `action`."""


class ContextRule:
    """context.change: a new context of the sender's, or one that it may change."""

    payload: type[EventData] = ContextChange
    said: type[BaseModel] = ContextSaid
    who: Kind = "user"
    scope: str | None = WRITE

    def __init__(self, engine: Database) -> None:
        self._engine = engine

    async def admit(self, arrival: Arrival) -> Event[EventData]:
        """As the routes below /api/v1/contexts would make it. Raises ContextNotFoundError."""
        said = read_said(ContextSaid, arrival).root
        if isinstance(said, CreateContextCommand):
            data = _creation(arrival, said)
            return stamped(arrival, data, owner=arrival.sender.name, session_id=said.session_id or str(data.context_id))
        named = said.target_id if isinstance(said, MergeContextCommand) else said.context_id
        row = (await find_for(self._engine, arrival.sender.principal, named, closed=True)).about
        data = _change(arrival, said, row)
        session_id = data.session_id or row.session_id or str(row.id)
        return stamped(arrival, data, owner=row.owner, session_id=session_id)


def _creation(arrival: Arrival, said: CreateContextCommand) -> ContextChange:
    return ContextChange(
        context_id=arrival.subject_id,
        action="create",
        by=arrival.sender.name,
        scope=said.scope,
        session_id=said.session_id,
        agent_id=said.agent_id,
        data=said.data,
        ttl_seconds=said.ttl_seconds,
        body_sha256=arrival.fingerprint,
    )


def _change(arrival: Arrival, said: _About, row: ContextSummary) -> ContextChange:
    by = arrival.sender.name
    if isinstance(said, ShareContextCommand):
        return ContextChange(
            context_id=arrival.subject_id, action="share", by=by, session_id=said.session_id, sources=(row.id,)
        )
    change = ContextChange(context_id=row.id, action=said.action, by=by, expected_version=said.expected_version)
    if isinstance(said, ChangeContextCommand):
        return change.model_copy(update={"ops": said.steps()})
    if isinstance(said, MergeContextCommand):
        return change.model_copy(update={"sources": tuple(said.source_ids), "strategy": said.strategy})
    return change
