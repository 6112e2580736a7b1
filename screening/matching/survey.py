"""Many patterns in many excerpts of a very long text: what is made of words by table, the rest where it can be by RE2.

RE2 builds its automata as it goes, and text that is made to be slow makes it build at every byte; a table is there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from screening.matching.expansion import Wording, alternatives
from screening.matching.gate import Gate
from screening.matching.lexicon import Lexicon, Numbers

_ALIKE = (b"\xc5\xbf", b"\xe2\x84\xaa")
"""What RE2 takes for an s and a k when case is nothing."""
Numbered = list[tuple[int, str]]


class Survey:
    """Says of each pattern in which excerpts of a text it is, exactly as a `Gate` would."""

    def __init__(self, patterns: Iterable[tuple[int, str]], whole: Gate, *by_marks: Collection[str]) -> None:
        """As for `Gate`; `whole` is the one of the same patterns, for texts in which the table would miss some."""
        numbered = list(patterns)
        wordings: list[tuple[int, Wording]] = []
        always: Numbered = []
        closer: Numbered = []
        required: set[str] = set()
        for number, pattern in numbered:
            for one in alternatives(pattern):
                wordings += [(number, wording) for wording in one.wordings]
                if one.pattern and one.required is None:
                    always.append((number, one.pattern))
                elif one.pattern:
                    closer.append((number, one.pattern))
                    required |= one.required or set()
        self._most = max(number for number, _ in numbered) + 1
        wordings += [(self._most, Wording(text)) for text in required]
        self._owners = np.array([number for number, _ in wordings], np.int64)
        self._lexicon = Lexicon([wording for _, wording in wordings])
        self._always, self._closer = Gate(always, *by_marks), Gate(closer, *by_marks)
        self._whole = whole

    def places(self, text: bytes, starts: Numbers, ends: Numbers) -> dict[int, list[int]]:
        """By pattern the numbers of the excerpts it is in; what begins first comes first.

        The excerpts are in order, each from its place in `starts` to that in `ends`, and may overlap.
        """
        excerpts = [text[first:last] for first, last in zip(starts.tolist(), ends.tolist(), strict=True)]
        if not text.isascii() and _has_look_alikes(text):
            return self._whole.places(excerpts)
        found = self._worded(text, starts, ends)
        near = found.pop(self._most, set())
        for number, where in self._always.places(excerpts).items():
            found.setdefault(number, set()).update(where)
        chosen = sorted(near)
        for number, where in self._closer.places([excerpts[one] for one in chosen]).items():
            found.setdefault(number, set()).update(chosen[one] for one in where)
        return dict(sorted(((number, sorted(where)) for number, where in found.items()), key=lambda one: one[1][0]))

    def _worded(self, text: bytes, starts: Numbers, ends: Numbers) -> dict[int, set[int]]:
        """As `places`, of what is written out, and of what has to be looked at more closely."""
        there = self._lexicon.find(text)
        low = np.searchsorted(ends, there.end, "left")
        high = np.searchsorted(starts, there.start, "right") - 1
        pairs = np.zeros((self._most + 1, len(starts)), np.bool_)
        for step in range(int((high - low).max(initial=-1)) + 1):
            place = np.minimum(low + step, len(starts) - 1)
            inside = low + step <= high
            inside &= there.before | (there.start == starts[place])
            inside &= there.after | (there.end == ends[place])
            pairs[self._owners[there.number[inside]], place[inside]] = True
        found: dict[int, set[int]] = {}
        for owner, excerpt in zip(*(axis.tolist() for axis in np.nonzero(pairs)), strict=True):
            found.setdefault(owner, set()).add(excerpt)
        return found


def _has_look_alikes(text: bytes) -> bool:
    """Whether one of `_ALIKE` is in it; a search for them stops at each of their first bytes."""
    raw = np.frombuffer(text + bytes(2), np.uint8)
    (long, s), (kelvin, sign, k) = _ALIKE
    if ((raw[:-1] == long) & (raw[1:] == s)).any():
        return True
    return bool(((raw[1:-1] == sign) & (raw[2:] == k) & (raw[:-2] == kelvin)).any())
