"""The aggregates that the keeper folds. A new one is a state, its rules in a file here, and one line below."""

from dataclasses import replace
from functools import cache

from consumers.keeper import agent, placeholders, proposal, task, workflow
from consumers.keeper.refinement import of_task
from consumers.keeper.world import Aggregate, State
from events.base import EventData

AGGREGATES: tuple[Aggregate, ...] = (
    replace(task.AGGREGATE, related=of_task),
    task.SPEC,
    workflow.AGGREGATE,
    proposal.AGGREGATE,
    agent.AGGREGATE,
    placeholders.AGGREGATE,
)

BY_KIND: dict[type[State], Aggregate] = {aggregate.kind: aggregate for aggregate in AGGREGATES}


@cache
def concerned(payload: type[EventData]) -> tuple[Aggregate, ...]:
    """The aggregates whose rules look at events of this class, in the order of the table."""
    return tuple(aggregate for aggregate in AGGREGATES if issubclass(payload, aggregate.handles))
