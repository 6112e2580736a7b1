"""Dividing a task: who may be divided, what a plan makes of it, and what becomes of it without one (docs/adr/0019).

A plan is taken whole or not at all: the steps are born in the commit that takes it, so nobody can meet a step of a
plan that was refused, or a task that waits for a step that never comes.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from consumers.keeper import family
from consumers.keeper.entering import enter, steer
from consumers.keeper.gate import PLAN_WITHIN, PLANNING, pass_or_wait, wait_for
from consumers.keeper.state import SpecState, TaskState
from consumers.keeper.submission import awaits_verdict
from consumers.keeper.world import Effect, Key, RefusedError, World
from events.base import About
from events.dependency import HOLDS_START
from events.plan import MAX_STEPS, Edge, Step, TaskDecompose, TaskDecomposed, TaskUndecomposed
from events.task import FINAL, Budget, Dependency, TaskSpec, TaskSubmitted

NOT_DECOMPOSED = "not_decomposed"
"""Why a task is ready, or waits, that was to be divided and could not be."""
_DIVISIBLE = ("goal", "subtask")
_NOT_BEGUN = ("submitted", "waiting", "ready")


def touches(data: TaskDecomposed) -> Iterator[Key]:
    """What was asked for, and the steps, which nobody has heard of before."""
    yield Key(SpecState, data.task_id)
    yield from (Key(TaskState, step.task_id) for step in data.children)


def asked(data: TaskDecompose, task: TaskState, world: World, at: datetime) -> list[Effect]:
    """The task waits for its plan, at once or as soon as it was screened. Raises RefusedError."""
    if task.status in FINAL:
        raise RefusedError("task_final")
    if task.kind not in _DIVISIBLE:
        raise RefusedError("not_decomposable")
    if task.course.asked is not None or task.course.divided:
        raise RefusedError("already_decomposed")
    if task.status not in _NOT_BEGUN or task.attempt > 1 or task.reason == "retry":
        raise RefusedError("has_begun")
    if not family.has_room(world, task, MAX_STEPS, data.options.max_depth):
        raise RefusedError("family_too_large")
    return [] if awaits_verdict(task) else [_waiting(task, at)]


def asked_again(task: TaskState, at: datetime) -> list[Effect]:
    """The plan is late: the planner is asked once more, for the same one."""
    request = TaskDecompose.model_validate({"task_id": task.id, **(task.course.asked or {})})
    return [_waiting(task, at), Effect(request, None, _about(task, task.id))]


def noted(data: TaskDecompose, task: TaskState) -> TaskState:
    """The task with what was asked for, until there is a plan."""
    return steer(task, asked=data.model_dump(mode="json", exclude={"task_id"}))


def divided(data: TaskDecomposed, task: TaskState, world: World) -> list[Effect]:
    """The task waits for its steps, and they are asked for. Raises RefusedError."""
    _same_plan(task, data.plan_id)
    about = {step.task_id: step for step in data.children}
    if not about or any(world.get(TaskState, one) is not None for one in about):
        raise RefusedError("plan_taken")
    spec = _spec_of(world, task)
    steps = [_submitted(data, step, task, spec) for step in data.children]
    if awaits_verdict(task):
        return steps
    return [wait_for(task, _below(data, task.id), attempt=task.attempt), *steps]


def with_steps(data: TaskDecomposed, task: TaskState, world: World) -> TaskState:
    """The task as its plan has it: it waits for its steps, and keeps for itself what they were not given to spend."""
    steps = tuple(_below(data, task.id))
    rest = _rest(task.budget, [step.budget for step in data.children])
    changes = {
        "depends_on": (*task.depends_on, *map(_on, steps)),
        "budget": rest,
        "estimate": data.estimate,
        "steps": steps,
        "builds_on": steps,
    }
    spec = _spec_of(world, task).model_copy(update=changes)
    after = steer(task, asked=None, hold=False, divided=True, linked=None)._replace(
        depends_on=spec.depends_on, budget=rest
    )
    if task.birth is not None:
        return after._replace(birth=task.birth._replace(spec=spec))
    return after._replace(planned=spec)


def undivided(data: TaskUndecomposed, task: TaskState, world: World) -> list[Effect]:
    """The task goes on as it would have without having been asked to be divided. Raises RefusedError."""
    _same_plan(task, data.plan_id)
    if awaits_verdict(task):
        return []
    return [pass_or_wait(world, without_plan(task), attempt=task.attempt, reason=NOT_DECOMPOSED)]


def without_plan(task: TaskState) -> TaskState:
    """The task that nobody has a plan for: another may be asked for."""
    return steer(task, asked=None)


def _same_plan(task: TaskState, plan_id: UUID) -> None:
    if task.status in FINAL:
        raise RefusedError("task_final")
    if task.course.asked is None or task.course.asked["plan_id"] != str(plan_id):
        raise RefusedError("plan_not_asked")


def _waiting(task: TaskState, at: datetime) -> Effect:
    return enter(task, "waiting", attempt=task.attempt, reason=PLANNING, due_at=at + PLAN_WITHIN)


def _spec_of(world: World, task: TaskState) -> TaskSpec:
    found = task.birth or world.get(SpecState, task.id)
    if found is None:
        raise RefusedError("unknown_task")
    return task.planned or found.spec


def _submitted(data: TaskDecomposed, step: Step, task: TaskState, asked: TaskSpec) -> Effect:
    """A step as anybody would ask for it; its owner's words stand before ours, and it is screened like all others."""
    inner = tuple(_below(data, step.task_id))
    spec = TaskSpec(
        kind="subtask",
        prompt=_prompt(data, step, asked.prompt),
        context=asked.context,
        constraints=asked.constraints,
        budget=step.budget,
        priority=step.priority or asked.priority,
        required_capabilities=step.required_capabilities,
        routing=asked.routing,
        metadata={"step": step.step},
        deadline_at=asked.deadline_at,
        parent_id=step.parent_id,
        depends_on=(*_before(data, step, task), *map(_on, inner)),
        estimate=step.estimate,
        steps=inner or None,
        builds_on=(*_earlier(data, step), *inner) or None,
    )
    return Effect(TaskSubmitted(task_id=step.task_id, spec=spec), None, _about(task, step.task_id))


def _prompt(data: TaskDecomposed, step: Step, asked: str) -> str:
    """What the step is of, from the task down to it."""
    above = next((one for one in data.children if one.task_id == step.parent_id), None)
    place = [*_below(data, step.parent_id)]
    of = asked if above is None else _prompt(data, above, asked)
    return f"{of}\n\nDo only step {place.index(step.task_id) + 1} of {len(place)}, {step.step}: {step.description}"


def _before(data: TaskDecomposed, step: Step, task: TaskState) -> Iterable[Dependency]:
    """What a step waits for: those before it; what begins a level, whatever the task above waits for."""
    edges = [edge for edge in data.edges if edge.after == step.task_id]
    if edges:
        return map(_dependency, edges)
    if step.parent_id == task.id:
        return [one for one in task.depends_on if one.type in HOLDS_START]
    return _before(data, next(one for one in data.children if one.task_id == step.parent_id), task)


def _earlier(data: TaskDecomposed, step: Step) -> list[UUID]:
    """The steps that have ended before it begins, in their order: it goes on from what they have brought."""
    found = {step.task_id}
    for edge in reversed(data.edges):  # those of a step stand behind those of the steps that it waits for
        if edge.after in found and edge.type == "finish_to_start":
            found.add(edge.before)
    return [one.task_id for one in data.children if one.task_id in found - {step.task_id}]


def _dependency(edge: Edge) -> Dependency:
    return Dependency(task_id=edge.before, required=edge.required, type=edge.type)


def _on(step_id: UUID) -> Dependency:
    return Dependency(task_id=step_id)


def _below(data: TaskDecomposed, parent_id: UUID) -> Iterator[UUID]:
    return (step.task_id for step in data.children if step.parent_id == parent_id)


def _rest(budget: Budget, given: Sequence[Budget]) -> Budget:
    return Budget(
        max_tokens=max(1, budget.max_tokens - sum(one.max_tokens for one in given)),
        max_time_seconds=max(1, budget.max_time_seconds - sum(one.max_time_seconds for one in given)),
        max_cost_usd=max(0.0, budget.max_cost_usd - sum(one.max_cost_usd for one in given)),
    )


def _about(task: TaskState, task_id: UUID) -> About:
    return About(task.owner, task.session_id, task_id)
