"""Thousands of strings looked for at once: every four bytes of a text are looked up in a table, the hits compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from screening.expansion import SHORTEST, Wording

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Eights = NDArray[np.uint64]

_FACTOR = np.uint32(0x9E3779B1)
_SHIFT = np.uint32(16)
_SLOTS = 1 << 16
_PIECE = 1 << 15
_BEFORE, _AFTER = 64, 512
_IN_WORD = bytes(chr(code).isalnum() or chr(code) == "_" for code in range(128)) + bytes(128)


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Where strings are in a text: for each its number, its bytes from `start` to `end`, and what is beside it.

    `before`, `after`: nothing there speaks against it; else it only counts in an excerpt that is cut there.
    """

    number: Numbers
    start: Numbers
    end: Numbers
    before: Flags
    after: Flags


class Lexicon:
    """Strings in small letters, found in any case in time that hardly depends on how many they are."""

    def __init__(self, wordings: Sequence[Wording]) -> None:
        raws = [one.text.encode() for one in wordings]
        self._length = np.array([len(raw) for raw in raws], np.int64)
        self._edge_before = np.array([one.edge_before for one in wordings], np.bool_)
        self._edge_after = np.array([one.edge_after for one in wordings], np.bool_)
        self._goes_on = np.array([one.goes_on for one in wordings], np.bool_)
        width = max((len(raw) + 7) // 8 for raw in raws)
        self._values = np.array([_eights(raw, width) for raw in raws], np.uint64)
        self._masks = np.array([_eights(b"\xff" * len(raw), width) for raw in raws], np.uint64)
        frequency = np.bincount(_slots(b"\n".join(raws)), minlength=_SLOTS)
        every = [_slots(raw) for raw in raws]
        self._offset = np.array([frequency[slots].argmin() for slots in every], np.int64)
        slots = np.array([slots[at] for slots, at in zip(every, self._offset, strict=True)])
        self._order = np.argsort(slots, kind="stable")
        used, first, counts = np.unique(slots[self._order], return_index=True, return_counts=True)
        self._slot = np.zeros(_SLOTS, np.uint16)
        self._slot[used] = np.arange(1, len(used) + 1)
        self._first, self._count = np.append(0, first), np.append(0, counts)

    def find(self, text: bytes) -> Occurrences:
        """All of them, in no order; where one begins in another both are told."""
        padded = bytes(_BEFORE) + text.lower() + bytes(_AFTER)
        number, start = self._candidates(padded, len(text))
        eights: Eights = np.ndarray((len(padded) - 7,), "<u8", padded, 0, (1,))
        for place in range(self._values.shape[1]):
            compared = np.flatnonzero(self._length[number] > 8 * place)
            if not len(compared):
                break
            one = number[compared]
            there = (eights[start[compared] + 8 * place] & self._masks[one, place]) == self._values[one, place]
            if not there.all():
                kept = np.ones(len(number), np.bool_)
                kept[compared] = there
                number, start = number[kept], start[kept]
        end = start + self._length[number]
        inside = np.frombuffer(padded.translate(_IN_WORD), np.bool_)
        going_on = inside[end]
        on = self._goes_on[number]
        if on.any():
            kept = going_on | ~on
            number, start, end, going_on, on = number[kept], start[kept], end[kept], going_on[kept], on[kept]
        before = ~(self._edge_before[number] & inside[start - 1])
        after = ~(self._edge_after[number] & going_on)
        return Occurrences(number, start - _BEFORE, end - _BEFORE + on, before, after)

    def _candidates(self, padded: bytes, length: int) -> tuple[Numbers, Numbers]:
        """Strings that may be there and where they would begin, piece by piece so that all stays in the cache."""
        found = []
        for first in range(_BEFORE, _BEFORE + max(1, length - SHORTEST + 1), _PIECE):
            grams = _grams(padded, first, min(_PIECE, _BEFORE + length - SHORTEST + 1 - first))
            slots = self._slot[(grams * _FACTOR) >> _SHIFT]
            places = np.flatnonzero(slots)
            found.append((slots[places], places + first))
        slots, places = (np.concatenate(parts) for parts in zip(*found, strict=True))
        counts = self._count[slots]
        ends = np.cumsum(counts)
        within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
        number = self._order[np.repeat(self._first[slots], counts) + within]
        return number, np.repeat(places, counts) - self._offset[number]


def _eights(raw: bytes, width: int) -> list[int]:
    """The bytes, eight at a time, as numbers."""
    padded = raw.ljust(8 * width, b"\0")
    return [int.from_bytes(padded[at : at + 8], "little") for at in range(0, 8 * width, 8)]


def _grams(raw: bytes, first: int, count: int) -> NDArray[np.uint32]:
    """Each four bytes as a number."""
    return np.ndarray((max(0, count),), "<u4", raw, first, (1,))


def _slots(raw: bytes) -> NDArray[np.uint32]:
    return (_grams(raw, 0, len(raw) - SHORTEST + 1) * _FACTOR) >> _SHIFT
