"""A task in few words: its status, what came of it, and the exit code that says so."""

from pydantic import JsonValue

from cli.client import Document
from cli.errors import BLOCKED, FAILED
from events.task import FINAL, GOOD

_TEXTS = ("text", "summary", "answer", "content")


def status_of(task: Document) -> str:
    """Where the task is."""
    return str(task.get("status", "unknown"))


def is_final(task: Document) -> bool:
    """Whether it has ended."""
    return status_of(task) in FINAL


def exit_code(task: Document) -> int:
    """0 for work that is done or under way, 3 for a blocked task, 1 for one that ended badly."""
    status = status_of(task)
    if status == "blocked":
        return BLOCKED
    return FAILED if status in FINAL - GOOD else 0


def outcome(task: Document) -> str:
    """The result as text, or why there is none."""
    text = _text(task.get("result"))
    if text:
        return text
    error = task.get("error")
    if isinstance(error, dict):
        return f"{error.get('message')} [{error.get('code')}]"
    verdict = task.get("verdict")
    why = verdict.get("reason") if isinstance(verdict, dict) else None
    return str(task.get("detail") or why or task.get("reason") or "")


def first_line(text: str, width: int = 72) -> str:
    """The first line that says something, at most `width` characters of it."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= width else f"{line[: width - 1]}…"


def _text(result: JsonValue) -> str:
    if not isinstance(result, dict):
        return ""
    found = next((result[name] for name in _TEXTS if isinstance(result.get(name), str)), "")
    return str(found)
