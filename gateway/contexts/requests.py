"""What clients send about contexts."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator
from pydantic_core import to_json

from events.base import JsonObject
from events.context import MAX_SOURCES, TTL, ContextOp, ContextScope, MergeStrategy
from events.context_data import MAX_BYTES, MAX_DEPTH, MAX_OPS, MAX_PLACE, MAX_VALUES, fault_of
from events.ids import Name
from gateway.http.values import Version, Whole

MAX_TTL = 366 * 24 * 3_600
"""Seconds that a global context may ask to be kept; any other at most as long as its scope is."""

PLACE = r"^[^.\x00]+(\.[^.\x00]+)*$"
Place = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PLACE, pattern=PLACE)]
"""Keys with dots between them."""

_FAULTS = {
    "context_too_large": f"holds more than {MAX_BYTES} bytes or {MAX_VALUES} values",
    "context_too_deep": f"is nested deeper than {MAX_DEPTH} levels",
    "unusable_key": f"has an empty key, a key with a dot, or a place of more than {MAX_PLACE} characters",
}


def _storable(data: JsonObject) -> JsonObject:
    if (fault := fault_of(data)) is not None:
        raise ValueError(_FAULTS[fault])
    return data


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class CreateContextRequest(_Body):
    """A context: of one session, of one agent, of all (`global`), or for an hour (`temporary`).

    `ttl_seconds` is how long it is kept after its last change, if not as long as its scope is.
    """

    scope: ContextScope = Field(examples=["global"])
    session_id: Name | None = None
    agent_id: Name | None = None
    data: Annotated[JsonObject, AfterValidator(_storable)] = Field(
        default_factory=dict, examples=[{"style": {"tone": "plain"}}]
    )
    ttl_seconds: Whole | None = Field(default=None, ge=1, le=MAX_TTL)

    @model_validator(mode="after")
    def _fits_its_scope(self) -> Self:
        if self.scope == "session" and self.session_id is None:
            raise ValueError("a context of scope session names its session_id")
        if self.scope == "agent" and self.agent_id is None:
            raise ValueError("a context of scope agent names its agent_id")
        if self.scope == "global" and (self.session_id or self.agent_id):
            raise ValueError("a global context belongs to no session and no agent")
        longest = TTL[self.scope]
        if self.ttl_seconds is not None and longest is not None and self.ttl_seconds > longest:
            raise ValueError(f"ttl_seconds is at most {longest} for this scope")
        return self


class SetStep(_Body):
    """A value put at a place; objects on the way there are made."""

    op: Literal["set"]
    path: Place
    value: JsonValue


class DeleteStep(_Body):
    """What is at a place taken away; harmless if nothing is."""

    op: Literal["delete"]
    path: Place


class ChangeContextRequest(_Body):
    """Steps in their order, all or none of them; `expected_version`: only if nobody was quicker."""

    ops: list[Annotated[SetStep | DeleteStep, Field(discriminator="op")]] = Field(
        min_length=1, max_length=MAX_OPS, examples=[[{"op": "set", "path": "style.tone", "value": "formal"}]]
    )
    expected_version: Version | None = None

    @model_validator(mode="after")
    def _fits_into_a_context(self) -> Self:
        if sum(len(to_json(step.value)) for step in self.ops if isinstance(step, SetStep)) > MAX_BYTES:
            raise ValueError(f"the values have more than {MAX_BYTES} bytes")
        return self

    def steps(self) -> tuple[ContextOp, ...]:
        """As the events have it."""
        return tuple(ContextOp.model_validate(step.model_dump()) for step in self.ops)


class KeyRequest(_Body):
    """The value of one place; null is a value."""

    value: JsonValue
    expected_version: Version | None = None

    @model_validator(mode="after")
    def _fits_into_a_context(self) -> Self:
        if len(to_json(self.value)) > MAX_BYTES:
            raise ValueError(f"the value has more than {MAX_BYTES} bytes")
        return self


class MergeRequest(_Body):
    """Join the sources into the target; they stay as they are."""

    target_id: UUID
    source_ids: list[UUID] = Field(min_length=1, max_length=MAX_SOURCES)
    strategy: MergeStrategy = "last_write_wins"
    expected_version: Version | None = Field(default=None, description="The target's")


class ShareRequest(_Body):
    """Into which session of yours a copy goes."""

    session_id: Name


class PromoteRequest(_Body):
    """Make it global, if it is still what was seen."""

    expected_version: Version | None = None
