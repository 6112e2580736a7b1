"""A reading of a text, and the way back from it to the original's offsets."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class View:
    """One reading of a field.

    `origin` holds, for each character of the reading, the index of the original character it came from, and
    `width` how many original characters one of its characters may span; without `origin` the two texts have the
    same offsets. `span`, when set, stands for all of it: what was decoded from there points back to the whole.
    """

    text: str
    name: str = "plain"
    origin: Offsets | None = None
    until: Offsets | None = None
    span: tuple[int, int] | None = None
    raw: bytes = field(default=b"")
    lazy: list[Offsets] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.raw:
            object.__setattr__(self, "raw", self.text.encode("utf-8", "replace"))

    @property
    def index(self) -> Offsets:
        """For each byte (and the end) the number of characters before it; built when first asked for."""
        if not self.lazy:
            heads = (np.frombuffer(self.raw, np.uint8) & 0xC0) != 0x80
            self.lazy.append(np.concatenate((np.cumsum(heads) - heads, [heads.sum()])))
        return self.lazy[0]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Original character offsets of the bytes [start, end) of this reading."""
        if self.span is not None:
            return self.span
        if len(self.raw) != len(self.text):
            start, end = int(self.index[start]), int(self.index[end])
        if self.origin is None or start >= end:
            return start, end
        last = self.origin[end - 1] + 1 if self.until is None else self.until[end - 1]
        return int(self.origin[start]), int(last)
