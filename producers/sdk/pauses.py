"""How long to wait before trying again: longer each time, and never all at once."""

import random

_FIRST, _LONGEST = 0.1, 5.0


class Pauses:
    """Exponential, with full jitter (AWS Architecture Blog, 2015); what the other side asks for is granted."""

    def __init__(self) -> None:
        self._longest = _FIRST

    def next(self, asked: float | None = None) -> float:
        """Seconds."""
        longest, self._longest = self._longest, min(2 * self._longest, _LONGEST)
        return random.uniform(longest / 4, longest) if asked is None else asked

    def reset(self) -> None:
        """It worked: begin small again."""
        self._longest = _FIRST
