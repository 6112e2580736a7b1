"""What a measurement gives: named rows, and the two statistics they use."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; `ratio` is its share of the floor measured in the same run, None where there is none."""

    name: str
    value: float
    unit: str
    ratio: float | None = None


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    """The middle of several repeats."""
    return statistics.median(values)
