"""Who depends on whom, as a graph: what of it is met, what holds a task back, and which way through takes longest."""

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError
from uuid import UUID

from events import critical
from events.dependency import HOLDS_START, Standing, has_begun, standing
from events.estimate import Estimate
from events.plan import Edge
from events.task import Dependency
from gateway.tasks.views import View, node_view
from storage.families import Relatives, TaskNode


def graph_view(one: UUID, found: Relatives) -> View:
    """As GET /api/v1/tasks/{id}/dependencies has it."""
    nodes = {node.id: node for node in found.nodes}
    task = nodes[one]
    asked = [(dependency, _standing(task, dependency, nodes)) for dependency in _dependencies(task)]
    before = [dependency for dependency, found in asked if found == "broken" or _holds(dependency, found, start=True)]
    at_end = [dependency for dependency, found in asked if found == "broken" or _holds(dependency, found, start=False)]
    path, hours = critical_path(found.nodes)
    return {
        "task_id": one,
        "can_start": not before,
        "can_finish": not at_end,
        "blocked_by": _ids(before),
        "held_by": _ids(at_end),
        "nodes": [node_view(node) for node in found.nodes],
        "edges": [edge for node in found.nodes for edge in _edges(node, nodes)],
        "critical_path": path,
        "critical_path_hours": hours,
        "truncated": found.truncated,
    }


def critical_path(nodes: Sequence[TaskNode]) -> tuple[list[UUID] | None, float | None]:
    """The tasks, in order, that together take longest, and how many hours; None if nothing says how long any takes."""
    hours = {node.id: _hours(node) for node in nodes}
    if not any(hours.values()):
        return None, None
    edges = [
        Edge(before=one.task_id, after=node.id, type=one.type, required=one.required)
        for node in nodes
        for one in _dependencies(node)
    ]
    try:
        found = critical.critical_path(hours, edges)
    except CycleError:  # of tasks that were refused for it
        return None, None
    return [*found.path], found.hours


def _hours(node: TaskNode) -> float:
    """What it is expected to take, or what its runs have taken; of a divided task the steps take that."""
    if node.estimate is None or node.divided:
        return (node.ms or 0.0) / 3_600_000
    return Estimate.model_validate(node.estimate).expected


def _edges(node: TaskNode, nodes: Mapping[UUID, TaskNode]) -> Iterator[View]:
    for one in _dependencies(node):
        if one.task_id in nodes:
            met = _standing(node, one, nodes) == "met"
            named: View = {"task_id": node.id, "depends_on": one.task_id}
            yield {**named, "type": one.type, "required": one.required, "met": met}


def _standing(task: TaskNode, dependency: Dependency, nodes: Mapping[UUID, TaskNode]) -> Standing:
    """As the keeper's gate has it; of a task that is nobody's to see nothing can be hoped for."""
    other = nodes.get(dependency.task_id)
    status, reason = ("failed", None) if other is None else (other.status, other.reason)
    begun = str(dependency.task_id) in (task.begun or ()) or has_begun(status, reason)
    return standing(dependency, status, begun=begun)


def _holds(dependency: Dependency, found: Standing, *, start: bool) -> bool:
    return found == "unmet" and (dependency.type in HOLDS_START) == start


def _dependencies(node: TaskNode) -> Iterator[Dependency]:
    for one in node.depends_on or ():
        yield Dependency.model_validate(one)


def _ids(dependencies: Sequence[Dependency]) -> list[UUID]:
    return list(dict.fromkeys(one.task_id for one in dependencies))
