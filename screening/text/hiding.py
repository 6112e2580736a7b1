"""Characters that nobody sees, put between letters to hide a word from a rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from screening.text.views import Offsets

Codes = NDArray[np.uint32]

INVISIBLE = frozenset([
    *range(9), *range(14, 28), *range(127, 133), *range(134, 160), 173, *range(768, 880), 847, 1564, 1807, 4447, 4448,
    6068, 6069, *range(6155, 6160), *range(6832, 6912), *range(7616, 7680), *range(8203, 8208), *range(8234, 8239),
    *range(8288, 8304), *range(8400, 8448), 12644, *range(65024, 65040), *range(65056, 65072), 65279, 65440,
    *range(65520, 65529), *range(65529, 65533), *range(78896, 78912), *range(113824, 113828), *range(119155, 119163),
    94180, *range(0xE0000, 0xE1000),
])  # fmt: skip
"""Controls, marks on top of other characters, and what Unicode says to draw nothing for."""
CONTROLS = bytes(code for code in INVISIBLE if code < 128)
TAGS = range(0xE0000, 0xE0080)
SELECTORS = range(0xE0100, 0xE01F0)

_MOST, _FIRST = 8, 2000
_SENTENCE = 6
_HIDES = np.zeros(0x10000, np.bool_)
_HIDES[[0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2065), 0xFEFF]] = True


def smuggled(foreign: Codes) -> NDArray[np.bool_]:
    """Which of these characters are variation selectors, six or more in a row, that stand for bytes of ASCII."""
    one = (foreign >= SELECTORS.start) & (foreign < SELECTORS.stop)
    if np.count_nonzero(one) < _SENTENCE:
        return np.zeros(len(foreign), np.bool_)
    ends = np.flatnonzero(np.diff(one.astype(np.int8), prepend=np.int8(0), append=np.int8(0)))
    for start, end in zip(ends[::2].tolist(), ends[1::2].tolist(), strict=True):
        one[start:end] = end - start >= _SENTENCE
    byte = foreign - np.uint32(SELECTORS.start - 16)
    return np.asarray(one & (byte >= 0x20) & (byte < 0x7F))


def hidden(codes: Codes, gone: Offsets) -> int:
    """How many runs of characters that hide are between two Latin letters, at most 8; a letter counts for one."""
    if len(gone) > _FIRST and hidden(codes, gone[:_FIRST]) == _MOST:
        return _MOST
    places = gone[_HIDES[np.minimum(codes[gone], len(_HIDES) - 1)]]
    if not len(places):
        return 0
    apart = np.diff(places) != 1
    before, after = places[np.append(True, apart)] - 1, places[np.append(apart, True)] + 1
    inside = (before >= 0) & (after < len(codes))
    before, after = before[inside], after[inside]
    between = _latin(codes[before]) & _latin(codes[after])
    count, used = 0, -1
    for left, right in zip(before[between][: 2 * _MOST].tolist(), after[between][: 2 * _MOST].tolist(), strict=True):
        if left > used:
            count, used = count + 1, right
    return min(count, _MOST)


def _latin(codes: Codes) -> NDArray[np.bool_]:
    return np.asarray(((codes | 0x20) >= ord("a")) & ((codes | 0x20) <= ord("z")))
