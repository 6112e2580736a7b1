"""Where the characters of a text are after some of them became several, or none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from screening.text.views import Offsets

Widths = NDArray[np.uint8]


class Growth:
    """Of a text of so many characters those at `places` became as many as `widths` says, from `starts` on."""

    __slots__ = ("places", "starts", "total", "widths")

    def __init__(self, length: int, places: Offsets, widths: Widths) -> None:
        change = widths.astype(np.int64) - 1
        after = np.cumsum(change)
        self.places, self.widths = places, widths
        self.starts: Offsets = places + after - change
        self.total = length + int(change.sum())

    def origin(self) -> Offsets:
        """For each character afterwards the place of the one that it was.

        It is the sum of steps of one: of none within what became several, of more behind what became none.
        """
        steps = np.ones(self.total + 1, np.int64)
        np.add.at(steps, self.starts[self.widths == 0], 1)
        for offset in range(1, int(self.widths.max(initial=0))):
            steps[self.starts[self.widths > offset] + offset] = 0
        origin: Offsets = np.cumsum(steps[:-1], out=steps[:-1])
        origin -= 1
        return origin
