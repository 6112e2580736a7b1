"""Who waits for whom, over any number of tasks: no task may come to wait for itself.

A task has two moments, its start and its end, and the end comes after the start. A dependency makes a moment of one
task wait for a moment of another; what has come already waits for nothing any more.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple
from uuid import UUID

from consumers.keeper import gate
from consumers.keeper.state import TaskState
from consumers.keeper.world import World
from events.dependency import ASKS_START, HOLDS_START
from events.task import FINAL, Dependency

_WALKED = 2_048
"""Moments, of half as many tasks."""


class Moment(NamedTuple):
    """The start of a task, or its end."""

    task_id: UUID
    is_end: bool


def start_of(task_id: UUID) -> Moment:
    """When it begins to run."""
    return Moment(task_id, is_end=False)


def end_of(task_id: UUID) -> Moment:
    """When it has ended."""
    return Moment(task_id, is_end=True)


def asked_by(dependency: Dependency) -> Moment:
    """What of the other task is waited for."""
    return Moment(dependency.task_id, is_end=dependency.type not in ASKS_START)


def held_by(task_id: UUID, dependency: Dependency) -> Moment:
    """What of the task itself is held back."""
    return Moment(task_id, is_end=dependency.type not in HOLDS_START)


def lead_to(world: World, moments: Iterable[Moment], goals: set[Moment]) -> bool | None:
    """Whether one of the moments is one of the goals or waits for one; None if they lead too far to be sure."""
    seen = set(moments)
    ahead = list(seen)
    while ahead and len(seen) <= _WALKED:
        moment = ahead.pop()
        if moment in goals:
            return True
        more = set(_waited_for(world, moment)) - seen
        seen |= more
        ahead += more
    return None if ahead else False


def _waited_for(world: World, moment: Moment) -> Iterator[Moment]:
    task = world.get(TaskState, moment.task_id)
    if task is None or task.status in FINAL:
        return
    if moment.is_end:
        yield start_of(task.id)
    elif gate.has_passed(task):
        return
    for dependency in task.depends_on:
        if held_by(task.id, dependency) == moment:
            yield asked_by(dependency)
