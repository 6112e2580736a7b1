"""Characters that nobody sees, put between letters to hide a word from a rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from screening.text.views import Offsets

Codes = NDArray[np.uint32]

_MOST, _FIRST = 8, 2000
_HIDES = np.zeros(0x10000, np.bool_)
_HIDES[[0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2065), 0xFEFF]] = True


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
