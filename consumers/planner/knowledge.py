"""What the planner knows, as data: the YAML files beside this, read and checked into frozen records."""

import re
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from events.estimate import Level
from events.ids import Name
from events.task import DependencyType, Priority
from screening.documents import parsed

StrategyName = Literal["temporal", "functional", "capability"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Phase(_Record):
    """One step as the data have it: `share` or `hours` say how much of the whole it is, `after` what comes first."""

    name: Name
    arm: Name
    description: str
    hours: float | None = Field(default=None, gt=0)
    share: float | None = Field(default=None, gt=0, lt=1)
    after: tuple[Name, ...] = ()
    type: DependencyType = "finish_to_start"


class Template(_Record):
    """A kind of work whose phases are known."""

    name: Name
    types: tuple[Name, ...]
    threshold: Level
    strategy: Literal["temporal", "functional"]
    depth: int = Field(ge=1, le=10)
    leaf: Level
    phases: tuple[Phase, ...] = Field(min_length=3, max_length=10)


class Rule(_Record):
    """What the words of a task tell of its parts; steps come after those that they wait for."""

    name: Name
    pattern: str
    rank: int
    factor: float = Field(default=1.0, gt=0)
    priority: Priority | None = None
    steps: tuple[Phase, ...] = Field(min_length=3, max_length=10)

    @model_validator(mode="after")
    def _names_what_is_there(self) -> "Rule":
        seen: set[str] = set()
        for step in self.steps:
            if not seen.issuperset(step.after):
                raise ValueError(f"{self.name}: {step.name} waits for a step that is not before it")
            seen.add(step.name)
        return self

    def fits(self, text: str) -> bool:
        """Whether the words are there."""
        return re.search(self.pattern, text, re.IGNORECASE) is not None


class Temporal(_Record):
    """Phases that follow one another."""

    confidence: float
    phases: tuple[Phase, ...] = Field(min_length=3, max_length=10)


class Parts(_Record):
    """Parts that are counted or named, one sentence for all."""

    confidence: float
    description: str


class Strategies(_Record):
    """How anything can be divided."""

    temporal: Temporal
    functional: Parts
    capability: Parts


class Complexity(_Record):
    """Words that make work longer."""

    weights: dict[str, int]
    terms: tuple[str, ...]


class Capabilities(_Record):
    """Which capability a word calls for."""

    default: Name
    words: dict[str, Name]


class Templates(_Record):
    """The templates' file."""

    templates: tuple[Template, ...]


class Rules(_Record):
    """The rules' file."""

    rules: tuple[Rule, ...]


class Knowledge(_Record):
    """All of it."""

    complexity: Complexity
    capabilities: Capabilities
    templates: tuple[Template, ...]
    rules: tuple[Rule, ...]
    strategies: Strategies


def beginnings(words: Iterable[str]) -> re.Pattern[str]:
    """Finds these where a word begins with them; the longest that fits."""
    return re.compile(rf"\b({'|'.join(sorted(map(re.escape, words), key=len, reverse=True))})", re.IGNORECASE)


@cache
def load() -> Knowledge:
    """What the files say. Raises pydantic's ValidationError if that is not what they may say."""
    return Knowledge(
        complexity=_file("complexity", Complexity),
        capabilities=_file("capabilities", Capabilities),
        templates=_file("templates", Templates).templates,
        rules=_file("rules", Rules).rules,
        strategies=_file("strategies", Strategies),
    )


R = TypeVar("R", bound=BaseModel)


def _file(name: str, model: type[R]) -> R:
    raw = (resources.files("consumers") / "planner" / f"{name}.yaml").read_bytes()
    return model.model_validate(parsed(raw))
