"""What the graph carries from node to node, and what a checkpoint holds.

Texts are kept inside of lists and dicts only: the checkpointer writes bare strings into JSONB, which knows no NUL.
"""

from datetime import UTC, datetime

from typing_extensions import TypedDict

from engine.writing.guardrails import Finding
from engine.writing.request import Request
from engine.writing.statements import Changes, Requirement


class File(TypedDict):
    """One file of the virtual folder as the contract has it: its lines, and when it came and changed (RFC 3339)."""

    content: list[str]
    created_at: str
    modified_at: str


class Brief(TypedDict):
    """What the engine understood; `serving` maps agents to the requirements they serve."""

    title: str
    requirements: list[Requirement]
    changes: Changes
    questions: list[str]
    withdrawn: list[str]
    principles: list[str]
    serving: dict[str, list[str]]


class Result(TypedDict):
    """What a thread that ended says of itself."""

    summary: str
    author: str
    verdict: str
    tokens: int


class SpecState(TypedDict, total=False):
    """The channels of the graph; each node replaces those that it returns. `result` is set by the last node only."""

    request: Request
    brief: Brief
    files: dict[str, File]
    pending: list[str]
    findings: list[Finding]
    rounds: int
    tokens: int
    result: Result


def text_of(file: File) -> str:
    """The text of a file."""
    return "\n".join(file["content"])


def written(text: str, before: File | None) -> File:
    """A file with this text; unchanged when it has it already."""
    if before is not None and text_of(before) == text:
        return before
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return File(content=text.split("\n"), created_at=before["created_at"] if before else now, modified_at=now)


def texts(files: dict[str, File]) -> dict[str, str]:
    """All files as texts."""
    return {path: text_of(file) for path, file in files.items()}
