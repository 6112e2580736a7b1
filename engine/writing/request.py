"""/user_request.md and /orchestrator_plan.md: what was asked, and how the engine goes about it."""

from typing import TypedDict

from engine.writing.text import quoted

PATH = "/user_request.md"
PLAN_PATH = "/orchestrator_plan.md"


class Request(TypedDict):
    """What the graph begins with; `files` is the draft (path -> text)."""

    instructions: str
    background: str
    file_path: str
    selection: str
    acceptance: list[str]
    files: dict[str, str]
    max_tokens: int


def write(request: Request) -> str:
    """The request, word for word."""
    parts = ["# User request", "", quoted(request["instructions"])]
    if request["background"]:
        parts += ["", "## Background", "", quoted(request["background"])]
    if request["file_path"]:
        parts += ["", "## About", "", f"`{request['file_path'].replace('`', '')}`"]
    if request["selection"]:
        parts += ["", quoted(request["selection"])]
    if request["acceptance"]:
        parts += ["", "## Accepted when", "", *(f"- {criterion}" for criterion in request["acceptance"])]
    return "\n".join(parts)


def write_plan(title: str, pending: list[str], kept: list[str], questions: list[str]) -> str:
    """The engine's own plan for this run."""
    return "\n".join(
        [
            f"# Orchestrator plan: {title}",
            "",
            "1. Understand the request and the draft.",
            "2. Write these files, one after the other:",
            *(f"   - `{path}`" for path in pending),
            "3. Assess guardrails and impact.",
            "4. Revise what the assessment finds.",
            "5. Finalise: check that a runtime can load the definition.",
            "",
            "## Left as they are",
            "",
            *([f"- `{path}`" for path in kept] or ["- Nothing: the draft was empty."]),
            "",
            "## Open questions",
            "",
            *([f"- {question}" for question in questions] or ["- None."]),
        ]
    )


def note_change(present: str, request: Request) -> str:
    """A file of the draft that the request is about and that no writer of ours knows: the request is noted in it."""
    about = ["", "About:", "", quoted(request["selection"])] if request["selection"] else []
    return "\n".join([present.rstrip(), "", "## Requested change", "", quoted(request["instructions"]), *about])
