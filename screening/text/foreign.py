"""The few characters of a long text that are not ASCII: found among its bytes, so that the others are not unpacked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from screening.text.hiding import Codes
from screening.text.views import Offsets

_LONG, _SHARE = 2_000, 16


@dataclass(frozen=True, slots=True)
class Foreign:
    """The code points that are not ASCII, where each is among the characters, and at which bytes it begins."""

    raw: bytes
    codes: Codes
    places: Offsets
    starts: Offsets

    @classmethod
    def few(cls, raw: bytes) -> Foreign | None:
        """Those of a long text in UTF-8; None of a short one, and of one that is full of them."""
        if len(raw) < _LONG:
            return None
        data = np.frombuffer(raw, np.uint8)
        high = np.flatnonzero(data > 127)
        if len(high) * _SHARE > len(raw):
            return None
        parts = data[high]
        heads = np.flatnonzero((parts & 0xC0) != 0x80)
        starts = high[heads]
        codes = np.frombuffer(parts.tobytes().decode().encode("utf-32-le"), np.uint32)
        return cls(raw, codes, starts - (heads - np.arange(len(heads))), starts)

    def replaced(self, forms: Iterable[tuple[int, str]]) -> bytes:
        """The text with some of them, by their numbers here and in order, as something else."""
        parts: list[bytes] = []
        position = 0
        for number, form in forms:
            start = int(self.starts[number])
            parts += (self.raw[position:start], form.encode("utf-8", "replace"))
            position = start + len(chr(int(self.codes[number])).encode())
        return b"".join((*parts, self.raw[position:]))


def pieced(length: int, places: list[int], widths: list[int]) -> Offsets:
    """Where the characters of a text of so many are after those at `places` became as many as `widths` says."""
    origin: list[Offsets] = []
    position = 0
    for place, width in zip(places, widths, strict=True):
        origin += (np.arange(position, place), np.full(width, place))
        position = place + 1
    return np.concatenate((*origin, np.arange(position, length)))
