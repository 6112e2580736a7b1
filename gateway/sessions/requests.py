"""What clients send about sessions."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import to_json

from events.base import JsonObject
from events.ids import Name
from events.run import MAX_CHECKPOINT
from events.session import SessionSpec
from events.task import CODE, Budget, TaskSpec
from gateway.http.values import Version, Whole
from gateway.tasks.requests import AnyPriority, priority_of

SessionType = Literal["planning", "execution", "review", "debug", "integration"]
BulkAction = Literal["start", "pause", "resume", "complete", "fail", "cancel", "delete"]

MAX_RUN = 3_600
"""Seconds that one task may run at most, whatever its session may last."""

_NOT_BLANK = r"\S"
Tags = Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(max_length=20)]
Score = Annotated[float, Field(ge=0, le=1)]
Title = Annotated[str, Field(min_length=3, max_length=100, pattern=_NOT_BLANK)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class CreateSessionRequest(_Body):
    """A piece of work with its first prompt; it waits for `start` unless `auto_start` says otherwise."""

    title: Title = Field(examples=["Fix-Login-Bug"])
    initial_prompt: str = Field(
        min_length=1, max_length=10_000, pattern=_NOT_BLANK, examples=["Find out why it fails."]
    )
    session_type: SessionType = "execution"
    priority: AnyPriority = "medium"
    agent_config: JsonObject | None = None
    max_duration_seconds: Whole = Field(default=3_600, ge=60, le=86_400)
    parent_session_id: Name | None = None
    created_by: str | None = Field(default=None, max_length=64, description="Nobody but the token's `sub`")
    tags: Tags = Field(default_factory=list)
    metadata: JsonObject = Field(default_factory=dict)
    auto_start: bool = False

    def session(self) -> SessionSpec:
        """The session this opens."""
        return SessionSpec(
            kind="work",
            title=self.title,
            session_type=self.session_type,
            tags=tuple(self.tags),
            metadata=self.metadata,
            agent_config=self.agent_config,
            max_duration_seconds=self.max_duration_seconds,
            parent_id=self.parent_session_id,
        )

    def task(self) -> TaskSpec:
        """Its first task."""
        return TaskSpec(
            kind="goal",
            prompt=self.initial_prompt,
            priority=priority_of(self.priority),
            hold=not self.auto_start,
            budget=Budget(max_time_seconds=min(self.max_duration_seconds, MAX_RUN)),
        )


class UpdateSessionRequest(_Body):
    """What is to be another; absent members stay. `expected_version`: only if nobody was quicker."""

    title: Title | None = None
    tags: Tags | None = None
    metadata: JsonObject | None = None
    expected_version: Version | None = None


class ActionRequest(_Body):
    """The optional body of start, pause, resume and cancel."""

    reason: str | None = Field(default=None, max_length=500)


class CompleteSessionRequest(_Body):
    """What came of it."""

    result: JsonObject = Field(default_factory=dict)
    success_rate: Score | None = None
    confidence_score: Score | None = None

    def kept(self) -> JsonObject:
        """The task's result: what is said, and the two scores where they are given."""
        scores = {"success_rate": self.success_rate, "confidence_score": self.confidence_score}
        return {**self.result, **{name: score for name, score in scores.items() if score is not None}}


class FailSessionRequest(_Body):
    """Why it cannot go on; `error_code` is a stable word: letters, digits, `_`, `-` and `.`, at most 64."""

    error_message: str = Field(default="The session was ended by its owner.", min_length=1, max_length=1_000)
    error_code: str = Field(default="failed_by_owner", pattern=rf"^{CODE}$")
    error_context: JsonObject | None = None
    retryable: bool = False


class CheckpointRequest(_Body):
    """What the next attempt is to begin with: at most 64 KiB of JSON."""

    data: JsonObject = Field(examples=[{"step": 3, "done": ["a.md"]}])
    note: str | None = Field(default=None, max_length=2_000)

    @field_validator("data")
    @classmethod
    def _is_not_too_large(cls, data: JsonObject) -> JsonObject:
        if len(to_json(data)) > MAX_CHECKPOINT:
            raise ValueError(f"has more than {MAX_CHECKPOINT} bytes")
        return data


class BulkRequest(_Body):
    """One action on up to a hundred sessions; each has its own outcome. `complete` and `fail` take their bodies."""

    action: BulkAction
    session_ids: list[Name] = Field(min_length=1, max_length=100)
    complete: CompleteSessionRequest = CompleteSessionRequest()
    fail: FailSessionRequest = FailSessionRequest()
    reason: str | None = Field(default=None, max_length=500)
