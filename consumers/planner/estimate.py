"""How long the work that a text describes may take (requirements 002.3)."""

import re
from functools import cache

from consumers.planner.knowledge import beginnings, load
from events.estimate import Estimate, of_hours

WORDS_AN_HOUR = 100
TOKENS_A_WORD = 2
_LEAST, _MOST = 1.0, 24.0
_LONG = Estimate(optimistic=6, likely=8, pessimistic=12, confidence=0)
"""A day: what a text stands for that would take that long or longer; more than that is not known from words."""
_UNSAID, _UNSURE = 2.0, 0.3


def of_text(text: str) -> Estimate:
    """The estimate of a description: by its length, the words that make work longer, and the technical terms in it."""
    words = len(text.split())
    if words == 0:
        return of_hours(_UNSAID, _UNSURE)
    hours = min(max(words / WORDS_AN_HOUR * score_of(text), _LEAST), _MOST)
    confidence = min(0.8, _UNSURE + words / 500)
    return _LONG.times(1.0, confidence) if hours >= _LONG.likely else of_hours(hours, confidence)


def score_of(text: str) -> float:
    """How complex the words are: 1 for plain ones."""
    weights = load().complexity.weights
    indicators = {match.lower() for match in _indicators().findall(text)}
    terms = {match.lower() for match in _terms().findall(text)}
    return 1 + 0.1 * sum(weights[word] for word in indicators) + 0.2 * len(terms)


def tokens_of(text: str) -> int:
    """How many tokens it takes to read the text, at least one."""
    return max(1, TOKENS_A_WORD * len(text.split()))


@cache
def _indicators() -> re.Pattern[str]:
    return beginnings(load().complexity.weights)


@cache
def _terms() -> re.Pattern[str]:
    return re.compile(rf"\b({'|'.join(load().complexity.terms)})s?\b", re.IGNORECASE)
