"""What a task may spend, divided among its steps and itself: together never more than it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

from events.task import Budget


class TooSmallError(Exception):
    """A step would get less than it takes to read what it is to do."""


@dataclass(frozen=True, slots=True)
class Shares:
    """What each step gets, and what is left for putting their results together."""

    given: tuple[Budget, ...]
    rest: Budget


def divided(budget: Budget, weights: Sequence[float], tokens_needed: int) -> Shares:
    """The shares by weight; putting together counts as one step more. Raises TooSmallError."""
    part = len(weights) / (len(weights) + 1)
    given = [
        (
            int(budget.max_tokens * part * weight),
            int(budget.max_time_seconds * part * weight),
            _floored(budget.max_cost_usd * part * weight),
        )
        for weight in weights
    ]
    rest = (
        budget.max_tokens - sum(one[0] for one in given),
        budget.max_time_seconds - sum(one[1] for one in given),
        max(0.0, _floored(budget.max_cost_usd - sum(one[2] for one in given))),
    )
    if any(tokens < tokens_needed or seconds < 1 for tokens, seconds, _ in (*given, rest)):
        raise TooSmallError
    return Shares(tuple(map(_budget, given)), _budget(rest))


def _floored(dollars: float) -> float:
    """To a millionth, and never up."""
    return floor(dollars * 1e6) / 1e6


def _budget(amounts: tuple[int, int, float]) -> Budget:
    tokens, seconds, dollars = amounts
    return Budget(max_tokens=tokens, max_time_seconds=seconds, max_cost_usd=dollars)
