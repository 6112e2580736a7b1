"""Run events: facts that an agent's runner states about one attempt at a task.

Every fact names task, attempt and execution; the keeper accepts one execution per attempt (DESIGN rule 6).
"""

from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from events.base import EventData, JsonObject
from events.files import MAX_FILE_BYTES, MEDIA_TYPE, SHA256, FilePath, Tree, media_type_of, sha256_of
from events.ids import Name, derived_text
from events.task import Finding, Sealed, TaskError

Outcome = Literal["succeeded", "partial", "failed", "timed_out", "cancelled", "lost"]

MOST_SPENT = 2**53
"""Up to here every reader of JSON counts exactly, and a row holds the sum; what is said beyond is no count."""
MAX_CHECKPOINT = 65_536
"""Bytes of a checkpoint as JSON: a session keeps a hundred, and one travels with the work of the next attempt."""
RUN_LOST, CALLER_LOST = "run_lost", "caller_lost"
"""Why an execution is lost: its agent fell silent; or the process of ours did that called it, which it cannot help."""
MAX_DELTA = 16_000
"""Characters of a piece of what an agent is saying that the door takes."""


class Usage(BaseModel):
    """What a run spent: tokens, US dollars, wall milliseconds."""

    model_config = ConfigDict(frozen=True)

    tokens: int = 0
    cost_usd: float = 0.0
    ms: float = 0.0


class File(BaseModel):
    """One file of a snapshot: its text, or `ref`, the id of an earlier `run.files` event of the run that carries it.

    `size` is in bytes; size and digest must be those of the text.
    """

    model_config = ConfigDict(frozen=True)

    sha256: str = Field(pattern=SHA256)
    size: int = Field(ge=0, le=MAX_FILE_BYTES)
    media_type: str = Field(default="text/markdown", pattern=MEDIA_TYPE)
    content: str | None = None
    ref: str | None = None

    @classmethod
    def of(cls, path: str, content: str) -> "File":
        """The file at `path` with this text."""
        size = len(content.encode())
        return cls(sha256=sha256_of(content), size=size, media_type=media_type_of(path), content=content)

    @model_validator(mode="after")
    def _holds_what_it_says(self) -> Self:
        if self.content is None:
            if self.ref is None:
                raise ValueError("a file has its text or says where it is")
        elif self.sha256 != sha256_of(self.content) or self.size != len(self.content.encode()):
            raise ValueError("size and digest are those of the text")
        return self


class Snapshot(BaseModel):
    """Which snapshot a run ended with: the `run.files` event that holds it, its number and its digest."""

    model_config = ConfigDict(frozen=True)

    event_id: str
    seq: int
    digest: str


class RunEvent(EventData, aggregate="run"):
    """Any fact about one run. `findings` and `sealed` are the reflex layer's, on what the agent brought back."""

    run_id: UUID
    task_id: UUID
    attempt: int
    execution_id: UUID
    agent_id: Name
    findings: tuple[Finding, ...] | None = None
    sealed: dict[str, Sealed] | None = None

    @property
    def subject_id(self) -> str:
        """The run's id."""
        return str(self.run_id)

    @property
    def ordinal(self) -> str | None:
        """What tells this fact from others of its name in one execution; None: its place among all outputs."""
        return None


class RunDelayed(RunEvent, name="delayed"):
    """The agent cannot begin yet, `reason` says why; it begins by itself as soon as it can."""

    reason: str


class RunStarted(RunEvent, name="started"):
    """The agent began; `engine_ref` is what an engine behind it calls the run, if there is one."""

    engine_ref: str | None = None


class RunProgress(RunEvent, name="progress"):
    """The agent lives, and may say how far it is and what it has spent; `seq` counts from 1 in one execution.

    `checkpoint`: what another attempt needs to go on from here.
    """

    seq: int
    percent: float | None = Field(default=None, ge=0, le=100)
    note: str | None = None
    usage: Usage | None = None
    checkpoint: JsonObject | None = None


class RunFiles(RunEvent, name="files"):
    """All files as the agent has them now (a full snapshot: it replaces what was said before), by path.

    `part` is set on an event that carries one large file for the snapshot that refers to it.
    """

    snapshot_seq: int
    files: Annotated[dict[FilePath, File], Tree]
    part: bool = False

    @property
    def ordinal(self) -> str | None:
        """The number of the snapshot, and of a part what it carries: others refer to it before it is published."""
        return f"{self.snapshot_seq}/{next(iter(self.files), '')}" if self.part else str(self.snapshot_seq)

    def event_id(self, source: str) -> str:
        """The id that the event gets when the consumer `source` publishes it."""
        return derived_text(self.execution_id, source, self.event_name, self.ordinal or "")


class RunDelta(RunEvent, name="delta"):
    """A piece of what the agent is saying, kept ten minutes only; `offset` is its place in the whole, in characters."""

    subject_root: ClassVar[str] = "tok"

    seq: int
    offset: int
    text: str


class RunToolCalled(RunEvent, name="tool_called"):
    """The agent used a tool; parameters and result are kept exactly."""

    seq: int
    tool: str
    parameters: JsonObject = Field(default_factory=dict)
    result: JsonObject | None = None
    status: Literal["succeeded", "failed"] = "succeeded"


class RunFinished(RunEvent, name="finished"):
    """The agent ended, well or not; `lost` is said of an execution whose process died."""

    outcome: Outcome
    output: JsonObject | None = None
    error: TaskError | None = None
    usage: Usage = Usage()
    quality: float | None = Field(default=None, ge=0, le=1)
    snapshot: Snapshot | None = None


RUN_EVENTS: tuple[type[RunEvent], ...] = (RunStarted, RunProgress, RunFiles, RunDelta, RunToolCalled, RunFinished)
"""All that is said about a run by whoever runs it."""
