"""Thousands of strings looked for at once: every four bytes of a text are looked up in a table, the hits compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from screening.matching.expansion import SHORTEST, Wording

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Eights = NDArray[np.uint64]

_FACTOR = np.uint32(0x9E3779B1)
_SHIFT = np.uint32(16)
_SLOTS = 1 << 16
_PIECE = 1 << 15
_BEFORE, _AFTER = 64, 512
_CROWD, _CROWDED = 3, 1000
_IN_WORD = np.array([chr(code).isalnum() or chr(code) == "_" for code in range(128)] + [False] * 128, np.bool_)
_FOREIGN = np.uint32(0x80808080)


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
        self._values = np.array([_eights(raw, width) for raw in raws], np.uint64).T.copy()
        self._masks = np.array([_eights(b"\xff" * len(raw), width) for raw in raws], np.uint64).T.copy()
        slots, self._offset = _rarest(raws)
        self._order = np.argsort(slots, kind="stable")
        used, first, counts = np.unique(slots[self._order], return_index=True, return_counts=True)
        self._slot = np.zeros(_SLOTS, np.uint16)
        self._slot[used] = np.arange(1, len(used) + 1)
        self._first, self._count = np.append(0, first), np.append(0, counts)

    def find(self, text: bytes) -> Occurrences:
        """All of them, in no order; where one begins in another both are told."""
        padded = bytes(_BEFORE) + text.lower() + bytes(_AFTER)
        eights: Eights = np.ndarray((len(padded) - 7,), "<u8", padded, 0, (1,))
        number, start = self._begun(padded, eights, len(text))
        for place in range(1, self._values.shape[0]):
            compared = np.flatnonzero(self._length[number] > 8 * place)
            if not len(compared):
                break
            there = self._there(eights, number[compared], start[compared], place)
            if not there.all():
                kept = np.ones(len(number), np.bool_)
                kept[compared] = there
                number, start = number[kept], start[kept]
        end = start + self._length[number]
        raw = np.frombuffer(padded, np.uint8)
        going_on = _IN_WORD[raw[end]]
        on = self._goes_on[number]
        if on.any():
            kept = going_on | ~on
            number, start, end, going_on, on = number[kept], start[kept], end[kept], going_on[kept], on[kept]
        before = ~(self._edge_before[number] & _IN_WORD[raw[start - 1]])
        after = ~(self._edge_after[number] & going_on)
        return Occurrences(number, start - _BEFORE, end - _BEFORE + on, before, after)

    def _begun(self, padded: bytes, eights: Eights, length: int) -> tuple[Numbers, Numbers]:
        """Strings of which the first eight bytes are there and where, piece by piece so that all stays in the cache."""
        found = []
        for first in range(_BEFORE, _BEFORE + max(1, length - SHORTEST + 1), _PIECE):
            slots, places = self._hit(_grams(padded, first, min(_PIECE, _BEFORE + length - SHORTEST + 1 - first)))
            counts = self._count[slots]
            ends = np.cumsum(counts)
            within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
            number = self._order[np.repeat(self._first[slots], counts) + within]
            start = np.repeat(places + first, counts) - self._offset[number]
            there = self._there(eights, number, start, 0)
            found.append((number[there], start[there]))
        numbers, starts = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return numbers, starts

    def _there(self, eights: Eights, number: Numbers, start: Numbers, place: int) -> Flags:
        """Which of the strings have their eight bytes of that number there."""
        return np.asarray((eights[start + 8 * place] & self._masks[place, number]) == self._values[place, number])

    def _hit(self, grams: NDArray[np.uint32]) -> tuple[NDArray[np.uint16], Numbers]:
        """The entries of the table that are hit, and where; of foreign text only what is ASCII is looked up."""
        if 2 * np.count_nonzero(grams & _FOREIGN) < len(grams):
            slots = self._slot[(grams * _FACTOR) >> _SHIFT]
            places = np.flatnonzero(slots != 0)
            return slots[places], places
        native = np.flatnonzero((grams & _FOREIGN) == 0)
        slots = self._slot[(grams[native] * _FACTOR) >> _SHIFT]
        hit = slots != 0
        return slots[hit], native[hit]


def _rarest(raws: list[bytes]) -> tuple[Numbers, Numbers]:
    """For each string the entry of four of its bytes, and where in it they are: the rarest among all strings.

    Where many are behind an entry, others are taken if there are any: a text may be nothing but those four bytes.
    """
    frequency = np.bincount(_slots(b"\n".join(raws)), minlength=_SLOTS)
    behind = np.zeros(_SLOTS, np.int64)
    offsets: list[int] = []
    chosen: list[int] = []
    for raw in raws:
        slots = _slots(raw)
        at = int(frequency[slots].argmin())
        chosen.append(int(slots[at]))
        offsets.append(at)
        behind[chosen[-1]] += 1
        if behind[chosen[-1]] >= _CROWD:
            frequency[chosen[-1]] += _CROWDED
    return np.array(chosen, np.int64), np.array(offsets, np.int64)


def _eights(raw: bytes, width: int) -> list[int]:
    """The bytes, eight at a time, as numbers."""
    padded = raw.ljust(8 * width, b"\0")
    return [int.from_bytes(padded[at : at + 8], "little") for at in range(0, 8 * width, 8)]


def _grams(raw: bytes, first: int, count: int) -> NDArray[np.uint32]:
    """Each four bytes as a number."""
    return np.ndarray((max(0, count),), "<u4", raw, first, (1,))


def _slots(raw: bytes) -> NDArray[np.uint32]:
    return (_grams(raw, 0, len(raw) - SHORTEST + 1) * _FACTOR) >> _SHIFT
