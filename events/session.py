"""Session events: a session holds a conversation, a piece of work or a workflow, and is opened by its first task."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from events.base import EventData, JsonObject
from events.ids import Name

SessionKind = Literal["work", "chat", "workflow"]
SessionAction = Literal["update", "archive"]


class SessionSpec(BaseModel):
    """What a session is opened with by its first task; a conversation's title comes from its first message."""

    model_config = ConfigDict(frozen=True)

    kind: SessionKind = "work"
    title: str | None = Field(default=None, max_length=200)
    session_type: str | None = Field(default=None, max_length=64)
    tags: tuple[str, ...] = ()
    metadata: JsonObject = Field(default_factory=dict)
    agent_config: JsonObject | None = None
    max_duration_seconds: int | None = Field(default=None, ge=1)
    parent_id: Name | None = None


class SessionEvent(EventData, aggregate="session"):
    """Any event about one session."""

    session_id: Name

    @property
    def subject_id(self) -> str:
        """The session's id."""
        return self.session_id


class SessionControl(SessionEvent, name="control"):
    """Someone wants a session described anew or put away; absent fields stay as they are.

    `body_sha256`: the fingerprint of the request, if it asked the same for others too, under one Idempotency-Key.
    """

    action: SessionAction
    by: str
    title: str | None = Field(default=None, max_length=200)
    tags: tuple[str, ...] | None = None
    metadata: JsonObject | None = None
    expected_version: int | None = None
    body_sha256: str | None = None


class SessionCheckpointed(SessionEvent, name="checkpointed"):
    """A checkpoint of one of its tasks is kept, as its `seq`-th; without a run its owner has made it."""

    is_state: ClassVar[bool] = True

    task_id: UUID
    seq: int
    attempt: int
    run_id: UUID | None = None
    agent_id: Name | None = None
    note: str | None = None


class SessionEntered(SessionEvent):
    """A session as it is now."""

    is_state: ClassVar[bool] = True

    kind: SessionKind
    title: str | None = None
    version: int


class SessionOpened(SessionEntered, name="opened"):
    """The session exists."""


class SessionUpdated(SessionEntered, name="updated"):
    """Its title, tags or metadata changed."""


class SessionArchived(SessionEntered, name="archived"):
    """Nothing new begins in it; what was said can still be read."""
