"""What a task asks of another that it depends on, and what of its own that holds back: one rule for all who ask."""

from typing import Literal

from events.task import FINAL, GOOD, Dependency, DependencyType

Standing = Literal["met", "unmet", "broken"]

HOLDS_START: frozenset[DependencyType] = frozenset({"finish_to_start", "start_to_start"})
"""What holds back the start of a task; the others hold back its end."""
ASKS_START: frozenset[DependencyType] = frozenset({"start_to_start", "start_to_finish"})
"""What asks of the other task only that it has begun."""


def has_begun(status: str, reason: str | None = None) -> bool:
    """Whether a task is at work, between two attempts, or has ended well."""
    return status in ("running", "paused") or status in GOOD or (status, reason) == ("waiting", "retry")


def standing(dependency: Dependency, status: str, *, begun: bool) -> Standing:
    """What the other task's status makes of it; `begun`: it was seen to begin while somebody waited for that.

    `broken`: it is required and ended badly, before it let anything through.
    """
    if begun and dependency.type in ASKS_START:
        return "met"
    if status not in FINAL:
        return "unmet"
    return "broken" if dependency.required and status not in GOOD else "met"
