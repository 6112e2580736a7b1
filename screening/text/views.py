"""A reading of a text, and the way back from it to the original's offsets."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.int64]
_BLOCK = 1024


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
    lazy: list[tuple[NDArray[np.bool_], Offsets]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.raw:
            object.__setattr__(self, "raw", self.text.encode("utf-8", "replace"))

    def character(self, byte: int) -> int:
        """How many characters begin before a byte: counted from the last full block, of which the sums are kept."""
        if not self.lazy:
            heads = (np.frombuffer(self.raw, np.uint8) & 0xC0) != 0x80
            full = len(heads) // _BLOCK
            sums = heads[: full * _BLOCK].reshape(full, _BLOCK).sum(axis=1, dtype=np.int64)
            self.lazy.append((heads, np.append(np.int64(0), np.cumsum(sums))))
        heads, before = self.lazy[0]
        block = byte // _BLOCK
        return int(before[block]) + int(np.count_nonzero(heads[block * _BLOCK : byte]))

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Original character offsets of the bytes [start, end) of this reading."""
        if self.span is not None:
            return self.span
        if len(self.raw) != len(self.text):
            start, end = self.character(start), self.character(end)
        return self._outer(start, end)

    def whole(self) -> tuple[int, int]:
        """All of the original that this reading is of."""
        return 0, int(self.origin[-1]) + 1 if self.origin is not None and len(self.origin) else len(self.text)

    def through(self, inner: View) -> View:
        """`inner`, a reading of this reading's text, as a reading of the original."""
        name = self.name if inner.name == "plain" else inner.name
        if self.span is not None:
            return View(inner.text, name, span=self.span)
        if inner.span is not None:
            return View(inner.text, name, span=self._outer(*inner.span))
        origin, until = self.origin, self.until
        if inner.origin is not None:
            last = inner.origin if inner.until is None else inner.until - 1
            until = last + 1 if origin is None else (origin[last] + 1 if until is None else until[last])
            origin = inner.origin if origin is None else origin[inner.origin]
        return View(inner.text, name, origin, until)

    def _outer(self, start: int, end: int) -> tuple[int, int]:
        """Original offsets of the characters [start, end) of this reading."""
        if self.origin is None or start >= end:
            return start, end
        last = self.origin[end - 1] + 1 if self.until is None else self.until[end - 1]
        return int(self.origin[start]), int(last)
