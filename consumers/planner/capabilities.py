"""Which capabilities a text calls for (requirements 002.3)."""

import re
from functools import cache

from consumers.planner.knowledge import beginnings, load


def of_text(text: str) -> tuple[str, ...]:
    """The capabilities that the words call for, in their order; code_generation where no word calls for any."""
    known = load().capabilities
    found = dict.fromkeys(known.words[match.lower()] for match in _finder().findall(text))
    return tuple(found) or (known.default,)


@cache
def _finder() -> re.Pattern[str]:
    return beginnings(load().capabilities.words)
