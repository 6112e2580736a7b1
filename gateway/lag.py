"""How old the oldest event is that the keeper has not committed."""

from collections import deque
from collections.abc import Callable

MAX_LAG = 5.0
"""Seconds that the keeper may lag before new work is refused and the room `system` hears of it."""
_SAMPLE_EVERY = 0.1
_MAX_SAMPLES = 4_096


class Lag:
    """Samples what the hub has read against what the keeper announced; `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._samples: deque[tuple[int, float]] = deque()
        self._newest = (0, 0.0)

    def seen(self, seq: int) -> None:
        """The stream holds `seq`."""
        now = self._clock()
        self._newest = (seq, now)
        if self._samples and now - self._samples[-1][1] < _SAMPLE_EVERY:
            return
        if len(self._samples) < _MAX_SAMPLES:
            self._samples.append((seq, now))

    def committed(self, seq: int) -> None:
        """Everything up to `seq` is in Postgres."""
        while self._samples and self._samples[0][0] <= seq:
            self._samples.popleft()
        if not self._samples and self._newest[0] > seq:
            self._samples.append(self._newest)  # it came too soon after another one to be a sample then

    def reset(self) -> None:
        """Forget it all: sequences of another epoch mean nothing here."""
        self._samples.clear()
        self._newest = (0, 0.0)

    @property
    def seconds(self) -> float:
        """0 when the keeper is level, else how long the oldest sample has waited."""
        return self._clock() - self._samples[0][1] if self._samples else 0.0
