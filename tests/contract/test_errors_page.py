"""docs/errors.md names every code that is answered, with its status, and every code that a task of ours ends with."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import events
import gateway
from events.errors import GanglionError
from gateway.door.door import NAMED_BESIDE
from gateway.errors import STATUSES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/errors.md").read_text()
NEVER_ANSWERED = {"lease_lost", "topology_mismatch", "invalid_path", "endpoint_forbidden"}
ON_SOCKETS = {"subscription_exists", "too_many_subscriptions"}
BY_THE_ROUTER = {("405", "method_not_allowed", "no"), ("409", "refused", "no"), ("500", "internal_error", "no")}


def kinds(base: type[GanglionError]) -> Iterator[type[GanglionError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from kinds(kind)


def answered() -> set[tuple[str, str, str]]:
    """Status, code, retryable."""
    for package in (events, gateway):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found = [kind for kind in kinds(GanglionError) if kind.__module__.split(".")[0] in {"events", "gateway"}]
    told = [kind for kind in found if kind.code not in NEVER_ANSWERED]
    return {(status_of(kind), kind.code, "yes" if kind.retryable else "no") for kind in told}


def status_of(kind: type[GanglionError]) -> str:
    if kind.code in ON_SOCKETS:
        return "socket"
    return str(int(next(STATUSES[one] for one in kind.__mro__ if one in STATUSES)))


def literals(call: str, folder: str) -> set[str]:
    """The codes that are written out in calls of this name: the first text, or `code`."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == call:
                given = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "code")]
                found |= {one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return found


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_answer_has_its_row() -> None:
    rows = re.findall(r"^\| (\d{3}|socket) \| `(\w+)` \| (yes|no) \|", section("Codes of answers"), re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert set(rows) == answered() | BY_THE_ROUTER


def test_every_reason_of_the_keeper_is_named() -> None:
    told = set(re.findall(r"`(\w+)`", section("Reasons of a refused change").rpartition("\n\n")[2]))
    codes = literals("RefusedError", "consumers/keeper")
    said = {code for code in codes if code == NAMED_BESIDE or not code.startswith(("unknown_", "no_task"))}
    assert said
    assert told == said


def test_every_error_of_a_task_of_ours_is_named() -> None:
    told = set(re.findall(r"^\| `(\w+)` \|", section("Codes of failed tasks"), re.MULTILINE))
    assert {"run_lost", "agent_error"} <= literals("TaskError", "consumers") <= told
