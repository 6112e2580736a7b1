"""What a log was told already: what repeats at every try is told once, until it changes."""

import math
import time
from collections.abc import Hashable

_MOST = 100


class Said:
    """What one part has said of what it tries again and again; 100 things at most, then it begins anew."""

    def __init__(self) -> None:
        self._said: dict[Hashable, float] = {}

    def once(self, what: Hashable, *, again_after: float = math.inf) -> bool:
        """Whether to say it: it was not said since `clear`, or not for so many seconds."""
        now = time.monotonic()
        before = self._said.get(what)
        if before is not None and now - before < again_after:
            return False
        if len(self._said) >= _MOST:
            self._said.clear()
        self._said[what] = now
        return True

    def becomes(self, state: Hashable) -> bool:
        """Whether to say it: it is another state than the one said last."""
        if state in self._said:
            return False
        self._said = {state: time.monotonic()}
        return True

    def clear(self) -> None:
        """It went well: whatever fails from now on is news."""
        self._said.clear()
