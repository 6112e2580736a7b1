"""The order of a plan's steps: when each may begin at the earliest, and the chain that takes longest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from uuid import UUID

from events.plan import Edge


@dataclass(frozen=True, slots=True)
class Critical:
    """The chain that takes longest, and how long."""

    path: tuple[UUID, ...]
    hours: float


def critical_path(durations: Mapping[UUID, float], edges: Sequence[Edge]) -> Critical:
    """By what each step takes, not by how many there are. Raises graphlib.CycleError."""
    before: dict[UUID, list[Edge]] = {step: [] for step in durations}
    for edge in edges:
        before[edge.after].append(edge)
    begins: dict[UUID, float] = {}
    because: dict[UUID, UUID | None] = {}
    for step in TopologicalSorter({one: [edge.before for edge in before[one]] for one in durations}).static_order():
        begins[step], because[step] = 0.0, None
        for edge in before[step]:
            earliest = _earliest(edge, begins, durations)
            if earliest > begins[step]:
                begins[step], because[step] = earliest, edge.before
    last = max(durations, key=lambda step: begins[step] + durations[step])
    path = [last]
    while (earlier := because[path[-1]]) is not None:
        path.append(earlier)
    return Critical(tuple(reversed(path)), round(begins[last] + durations[last], 4))


def _earliest(edge: Edge, begins: Mapping[UUID, float], durations: Mapping[UUID, float]) -> float:
    """When the later step may begin, as far as this edge goes."""
    begun, ended = begins[edge.before], begins[edge.before] + durations[edge.before]
    own = durations[edge.after]
    return {
        "finish_to_start": ended,
        "start_to_start": begun,
        "finish_to_finish": ended - own,
        "start_to_finish": begun - own,
    }[edge.type]
