"""How long work may take: three points of a PERT estimate, and what follows from them (requirements 002.3)."""

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Level = Literal["trivial", "simple", "moderate", "complex", "expert"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""From the least to the most: levels are compared by their place here, never as words."""

MIN_HOURS, MAX_HOURS = 0.1, 1_000.0
"""What somebody may say that a task takes."""
_UP_TO: tuple[tuple[float, Level], ...] = ((0.25, "trivial"), (1.0, "simple"), (4.0, "moderate"), (8.0, "complex"))
_SPREAD: tuple[tuple[float, float, float], ...] = ((1.0, 0.5, 2.0), (4.0, 0.7, 1.5), (8.0, 0.8, 1.3))
_WIDEST = (0.75, 1.5)
_SAID = 0.8
"""How sure one may be of what the owner of a task says of it: as of a long text."""


class Estimate(BaseModel):
    """Hours: at best, most likely, at worst; and how sure that is."""

    model_config = ConfigDict(frozen=True)

    optimistic: float = Field(ge=0)
    likely: float = Field(ge=0)
    pessimistic: float = Field(ge=0)
    confidence: float = Field(ge=0, le=1)

    @property
    def expected(self) -> float:
        """The mean of the distribution that these three stand for."""
        return (self.optimistic + 4 * self.likely + self.pessimistic) / 6

    @property
    def deviation(self) -> float:
        """Its standard deviation."""
        return (self.pessimistic - self.optimistic) / 6

    @property
    def level(self) -> Level:
        """How complex work is that takes so long."""
        return next((level for hours, level in _UP_TO if self.expected < hours), "expert")

    def times(self, factor: float, confidence: float | None = None) -> "Estimate":
        """So many times as much."""
        return Estimate(
            optimistic=self.optimistic * factor,
            likely=self.likely * factor,
            pessimistic=self.pessimistic * factor,
            confidence=self.confidence if confidence is None else confidence,
        )


def of_hours(likely: float, confidence: float = _SAID) -> Estimate:
    """The estimate around what is most likely: the longer the work, the less it can be hurried."""
    best, worst = next(((o, p) for below, o, p in _SPREAD if likely < below), _WIDEST)
    return Estimate(optimistic=likely * best, likely=likely, pessimistic=likely * worst, confidence=confidence)


def is_above(level: Level, other: Level) -> bool:
    """Whether a level is higher than another one."""
    return LEVELS.index(level) > LEVELS.index(other)
