"""Which steps a task falls into: by a template, else a rule, else a strategy that fits anything."""

from dataclasses import dataclass

from consumers.planner import capabilities
from consumers.planner.knowledge import Phase, Rule, StrategyName, Template, Temporal, load
from events.estimate import LEVELS, Estimate, Level, is_above
from events.plan import MAX_DEPTH, PlanOptions
from events.task import Priority

LEAF: Level = "moderate"
"""What is no more than that is not divided any further, if no template says otherwise."""
LEAST, MOST = 3, 10
"""How many steps a level has (requirements 000, 1.3.R1)."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Steps and how much of the whole each is; `inner` divides those of them that are above `leaf`."""

    kind: str
    name: str
    phases: tuple[Phase, ...]
    confidence: float = 1.0
    factor: float = 1.0
    priority: Priority | None = None
    inner: StrategyName = "temporal"
    leaf: Level = LEAF
    depth: int = MAX_DEPTH

    @property
    def weights(self) -> list[float]:
        """The share of each step; together 1."""
        fixed = sum(phase.share or 0.0 for phase in self.phases)
        free = sum(phase.hours or 1.0 for phase in self.phases if phase.share is None)
        return [phase.share or (1 - fixed) * (phase.hours or 1.0) / free for phase in self.phases]


def first(text: str, estimate: Estimate, task_type: str | None, options: PlanOptions) -> Pattern:
    """The steps of the task itself. Raises KeyError if it names a template that there is not."""
    if options.template is not None:
        named = {template.name: template for template in load().templates}
        return _of_template(named[options.template])
    kind = options.task_type or task_type
    template = _template_for(text, estimate, kind) if options.apply_templates else None
    if template is not None:
        return _of_template(template)
    rule = rule_for(text) if options.apply_rules else None
    return _of_rule(rule) if rule is not None else _of_anything(text)


def within(outer: Pattern, level: Level) -> Pattern:
    """The steps of a step that is above the pattern's leaf."""
    parts = functional(level, outer.leaf) if outer.inner == "functional" else temporal()
    return Pattern(
        parts.kind,
        parts.name,
        parts.phases,
        confidence=parts.confidence,
        inner=outer.inner,
        leaf=outer.leaf,
        depth=outer.depth,
    )


def rule_for(text: str) -> Rule | None:
    """The rule of the highest rank whose words are there; of two of one rank the first."""
    found = [rule for rule in load().rules if rule.fits(text)]
    return max(found, key=lambda rule: rule.rank, default=None)


def temporal() -> Pattern:
    """Phases that follow one another."""
    known: Temporal = load().strategies.temporal
    return Pattern("strategy", "temporal", chained(known.phases), confidence=known.confidence)


def functional(level: Level, target: Level) -> Pattern:
    """As many parts as levels lie between what it is and what a part may be, three at least."""
    known = load().strategies.functional
    count = min(max(LEVELS.index(level) - LEVELS.index(target) + 1, LEAST), MOST)
    phases = tuple(
        Phase(
            name=f"part-{number}",
            arm=load().capabilities.default,
            description=known.description.format(number=number, count=count),
        )
        for number in range(1, count + 1)
    )
    return Pattern("strategy", "functional", phases, confidence=known.confidence)


def by_capability(wanted: tuple[str, ...]) -> Pattern:
    """One step for each capability, side by side."""
    known = load().strategies.capability
    phases = tuple(
        Phase(name=one, arm=one, description=known.description.format(capability=one.replace("_", " ")))
        for one in wanted[:MOST]
    )
    return Pattern("strategy", "capability", phases, confidence=known.confidence)


def chained(phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
    """The same, each after the one before it."""
    before = ((), *((phase.name,) for phase in phases))
    return tuple(phase.model_copy(update={"after": after}) for phase, after in zip(phases, before, strict=False))


def _template_for(text: str, estimate: Estimate, task_type: str | None) -> Template | None:
    words = task_type.replace("_", " ").lower() if task_type else text.lower()
    for template in load().templates:
        if is_above(template.threshold, estimate.level):
            continue
        if any(f" {kind.replace('_', ' ')} " in f" {_plain(words)} " for kind in template.types):
            return template
    return None


def _plain(words: str) -> str:
    return " ".join("".join(char if char.isalnum() else " " for char in words).split())


def _of_template(template: Template) -> Pattern:
    return Pattern(
        "template",
        template.name,
        chained(template.phases),
        inner=template.strategy,
        leaf=template.leaf,
        depth=template.depth,
    )


def _of_rule(rule: Rule) -> Pattern:
    return Pattern("rule", rule.name, rule.steps, factor=rule.factor, priority=rule.priority)


def _of_anything(text: str) -> Pattern:
    wanted = capabilities.of_text(text)
    return by_capability(wanted) if len(wanted) >= LEAST else temporal()
