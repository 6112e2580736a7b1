"""From a task to its plan: a tree of steps, level by level, whose hours and budgets are those of the task."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from consumers.planner import estimate as estimating
from consumers.planner import patterns
from consumers.planner.knowledge import Phase
from consumers.planner.patterns import Pattern
from consumers.planner.purse import TooSmallError, divided
from events.critical import critical_path
from events.estimate import Estimate, is_above
from events.ids import derived_id
from events.plan import MAX_STEPS, Edge, PlanOptions, Step, TaskDecomposed
from events.task import Budget, TaskSpec

MAX_BYTES = 4_000_000
"""How much all steps together may carry of what the task says: it is copied into each."""
_DIGITS = 4


class UnplannableError(Exception):
    """No plan fits; `code` is stable, `message` for people."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(code)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be divided; `offered`: the capabilities that some agent has."""

    task_id: UUID
    plan_id: UUID
    spec: TaskSpec
    options: PlanOptions
    offered: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Whole:
    """A task or step that is divided, and how deep it lies."""

    id: UUID
    path: str
    depth: int
    estimate: Estimate
    budget: Budget


@dataclass
class _Draft:
    """The plan so far."""

    steps: dict[UUID, Step] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    used: dict[str, dict[str, None]] = field(default_factory=dict)

    def names(self, kind: str) -> tuple[str, ...]:
        return tuple(self.used.get(kind, ()))


def make(asked: Asked) -> TaskDecomposed:
    """The plan of a task. Raises UnplannableError."""
    spec = asked.spec
    estimate = spec.estimate or estimating.of_text(spec.prompt)
    try:
        pattern = patterns.first(spec.prompt, estimate, spec.task_type, asked.options)
    except KeyError:
        raise UnplannableError("unknown_template", "There is no such template.") from None
    if spec.estimate is None:
        estimate = _rounded(estimate.times(pattern.factor))
    room = min(MAX_STEPS, MAX_BYTES // max(1, len(spec.model_dump_json())))
    if len(pattern.phases) > room:
        raise UnplannableError("too_large_to_decompose", "The task says too much to be copied into each of its steps.")
    draft = _Draft()
    waiting = deque([(_Whole(asked.task_id, "", 0, estimate, spec.budget), pattern)])
    while waiting:
        whole, parts = waiting.popleft()
        if len(draft.steps) + len(parts.phases) > room:
            continue
        try:
            below = _divide(whole, parts, asked, draft)
        except TooSmallError:
            if whole.depth == 0:
                raise UnplannableError(
                    "budget_too_small", f"The budget does not go round among {len(parts.phases)} steps."
                ) from None
            continue
        for step in below:
            if is_above(step.estimate.level, parts.leaf) and step.depth < min(asked.options.max_depth, parts.depth):
                waiting.append((step, patterns.within(parts, step.estimate.level)))
    return _plan(asked, estimate, draft)


def _divide(whole: _Whole, parts: Pattern, asked: Asked, draft: _Draft) -> list[_Whole]:
    """Put the steps of one level into the draft. Raises TooSmallError."""
    spec = asked.spec
    shares = divided(whole.budget, parts.weights, estimating.tokens_of(spec.prompt))
    hours = _split(whole.estimate, parts.weights, parts.confidence)
    ids = {phase.name: derived_id(asked.plan_id, whole.path + phase.name) for phase in parts.phases}
    for phase, budget, estimate in zip(parts.phases, shares.given, hours, strict=True):
        draft.steps[ids[phase.name]] = Step(
            task_id=ids[phase.name],
            parent_id=whole.id,
            step=phase.name,
            description=phase.description,
            arm=phase.arm,
            required_capabilities=(phase.arm,) if phase.arm in asked.offered else spec.required_capabilities,
            priority=parts.priority,
            estimate=estimate,
            budget=budget,
        )
        draft.edges += [_edge(ids[name], ids[phase.name], phase) for name in phase.after]
    if whole.id in draft.steps:
        draft.steps[whole.id] = draft.steps[whole.id].model_copy(update={"budget": shares.rest})
    draft.used.setdefault(parts.kind, {})[parts.name] = None
    return [
        _Whole(ids[phase.name], f"{whole.path}{phase.name}/", whole.depth + 1, estimate, budget)
        for phase, budget, estimate in zip(parts.phases, shares.given, hours, strict=True)
    ]


def _edge(before: UUID, after: UUID, phase: Phase) -> Edge:
    return Edge(before=before, after=after, type=phase.type)


def _split(whole: Estimate, weights: Sequence[float], confidence: float) -> list[Estimate]:
    """Estimates whose three points sum up to those of the whole, so what is expected does too."""
    sure = round(whole.confidence * confidence, _DIGITS)
    points = zip(
        *(_shares(point, weights) for point in (whole.optimistic, whole.likely, whole.pessimistic)), strict=True
    )
    return [Estimate(optimistic=o, likely=m, pessimistic=p, confidence=sure) for o, m, p in points]


def _shares(amount: float, weights: Sequence[float]) -> list[float]:
    """The amount by weight; the last one takes what rounding leaves."""
    shares = [round(amount * weight, _DIGITS) for weight in weights[:-1]]
    return [*shares, max(0.0, round(amount - sum(shares), _DIGITS))]


def _rounded(estimate: Estimate) -> Estimate:
    points = {name: round(value, _DIGITS) for name, value in estimate.model_dump().items()}
    return Estimate.model_validate(points)


def _plan(asked: Asked, estimate: Estimate, draft: _Draft) -> TaskDecomposed:
    first = [step for step in draft.steps.values() if step.parent_id == asked.task_id]
    durations = {step.task_id: step.estimate.expected for step in first}
    critical = critical_path(durations, [edge for edge in draft.edges if edge.after in durations])
    return TaskDecomposed(
        task_id=asked.task_id,
        plan_id=asked.plan_id,
        estimate=estimate,
        children=tuple(draft.steps.values()),
        edges=tuple(draft.edges),
        templates=draft.names("template"),
        rules=draft.names("rule"),
        strategies=draft.names("strategy"),
        total_hours=round(sum(durations.values()), _DIGITS),
        critical_path=critical.path,
        critical_hours=critical.hours,
    )
