"""The way through tasks that wait for one another that takes longest: by what each takes, not by how many there are.

A task has two moments, its start and its end, and the end comes after the start by what the task takes. An edge lets a
moment of one task come after a moment of another.
"""

from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from typing import NamedTuple
from uuid import UUID

from events.dependency import ASKS_START, HOLDS_START
from events.plan import Edge


class Critical(NamedTuple):
    """The tasks of that way, in order, and how many hours they take."""

    path: tuple[UUID, ...]
    hours: float


class _Moment(NamedTuple):
    task_id: UUID
    is_end: bool


class _Reached(NamedTuple):
    hours: float
    last: _Moment | None


def critical_path(hours: Mapping[UUID, float], edges: Iterable[Edge]) -> Critical:
    """Of these tasks; edges that lead to others are passed over. Raises graphlib.CycleError."""
    before: dict[_Moment, list[_Moment]] = {}
    for task_id in hours:
        before |= {_Moment(task_id, is_end=False): [], _Moment(task_id, is_end=True): [_Moment(task_id, is_end=False)]}
    for edge in edges:
        if edge.before in hours and edge.after in hours:
            held = _Moment(edge.after, edge.type not in HOLDS_START)
            before[held].append(_Moment(edge.before, edge.type not in ASKS_START))
    reached: dict[_Moment, _Reached] = {}
    for moment in TopologicalSorter(before).static_order():
        own = _Moment(moment.task_id, is_end=False)
        ways = [
            _Reached(reached[one].hours + (hours[one.task_id] if one == own else 0.0), one) for one in before[moment]
        ]
        reached[moment] = max(ways, key=lambda way: way.hours, default=_Reached(0.0, None))
    if not reached:
        return Critical((), 0.0)
    at: _Moment | None = max(reached, key=lambda moment: reached[moment].hours)
    total, path = max(way.hours for way in reached.values()), list[UUID]()
    while at is not None:
        last = reached[at].last
        path += [at.task_id] if last == _Moment(at.task_id, is_end=False) else []
        at = last
    return Critical(tuple(path[::-1]), round(total, 4))
