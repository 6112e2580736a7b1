"""The aggregates that the keeper folds. A new one is a state, its rules in a file here, and one line below."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from consumers.keeper import (
    agent,
    calls,
    checkpoint,
    context,
    placeholders,
    proposal,
    refinement,
    session,
    task,
    turns,
    usage,
    workflow,
)
from consumers.keeper.world import Aggregate, Key, State
from events.base import EventData


def _of_task(state: State) -> Iterable[Key]:
    """What is loaded along with a task."""
    yield from refinement.of_task(state)
    yield from turns.of_task(state)


AGGREGATES: tuple[Aggregate, ...] = (
    replace(task.AGGREGATE, related=_of_task),
    task.SPEC,
    calls.AGGREGATE,
    session.AGGREGATE,
    workflow.AGGREGATE,
    proposal.AGGREGATE,
    agent.AGGREGATE,
    placeholders.AGGREGATE,
    context.AGGREGATE,
    context.SHELF,
    checkpoint.AGGREGATE,
    checkpoint.LINE,
    usage.AGGREGATE,  # the last one: what others decide by is what was used before
)

BY_KIND: dict[type[State], Aggregate] = {aggregate.kind: aggregate for aggregate in AGGREGATES}


@cache
def concerned(payload: type[EventData]) -> tuple[Aggregate, ...]:
    """The aggregates whose rules look at events of this class, in the order of the table."""
    return tuple(aggregate for aggregate in AGGREGATES if issubclass(payload, aggregate.handles))
