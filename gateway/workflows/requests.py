"""What clients send about workflows and proposals."""

from typing import Annotated, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from events.files import MAX_FILE_BYTES, FilePath, Tree
from events.workflow import LOCKED_AT_MOST, LOCKED_FOR
from gateway.http.values import Whole

MAX_FILES_BYTES = 700_000
"""Bytes of all files that a workflow is made with: they travel in one event."""


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class WorkflowRequest(_Body):
    """A new workflow, empty or with files (path -> text)."""

    name: str = Field(min_length=1, max_length=200, pattern=r"\S", examples=["Greeter"])
    description: str | None = Field(default=None, max_length=10_000)
    files: Annotated[dict[FilePath, Annotated[str, Field(max_length=MAX_FILE_BYTES)]], Tree] = Field(
        default_factory=dict, max_length=500
    )

    @model_validator(mode="after")
    def _fits_into_one_event(self) -> Self:
        if sum(len(text.encode()) for text in self.files.values()) > MAX_FILES_BYTES:
            raise ValueError(f"files have more than {MAX_FILES_BYTES} bytes")
        return self


class PublishRequest(_Body):
    """Publish the draft, if it is still the one that was seen."""

    expected_version: Whole | None = Field(default=None, ge=1, description="The draft's version")


class DeployRequest(_Body):
    """Which published version is to be the deployed one."""

    version_number: Annotated[Whole, Field(ge=1, lt=2**31)]


class LockRequest(_Body):
    """How long the lock is held at most, unless it is taken again."""

    ttl_seconds: Annotated[Whole, Field(ge=1, le=LOCKED_AT_MOST)] = LOCKED_FOR


class RefinementRequest(_Body):
    """What to change; `user_prompt` is taken for `instructions`. A context names a file of the draft, or quotes one."""

    instructions: str = Field(
        min_length=1,
        max_length=100_000,
        pattern=r"\S",
        validation_alias=AliasChoices("instructions", "user_prompt"),
        examples=["Greet in French, too."],
    )
    context_file_path: FilePath | None = None
    context_selection: str | None = Field(default=None, max_length=50_000)


class DecisionRequest(_Body):
    """Why."""

    reason: str | None = Field(default=None, max_length=2_000)


class AccessRequest(_Body):
    """`owner` may decide, `viewer` may look."""

    access_type: Literal["owner", "viewer"]
