"""A glance over a long text: which cues are likely where, by their words alone, to tell what to read closely."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

import numpy as np

from screening.matching.expansion import wordings
from screening.matching.gate import Gate, Presence
from screening.matching.lexicon import Lexicon

_FEW, _MARGIN = 4, 240


class Glance:
    """Finds of many patterns what can be written out, by table, and what is not ASCII.

    What counts, repeats or is shorter than four letters is overlooked: this only says where to look.
    """

    def __init__(self, patterns: Collection[str], gate: Gate) -> None:
        """The patterns, and the gate behind which they are."""
        worded = [(number, wording) for number, pattern in enumerate(patterns) for wording in wordings(pattern)]
        self._owners = np.array([number for number, _ in worded], np.int64)
        self._lexicon = Lexicon([wording for _, wording in worded])
        self._gate, self._count = gate, len(patterns)

    def presence(self, text: str, size: int) -> Presence:
        """A row for each block of so many characters: 1 for the patterns that seem to begin in it.

        What is not ASCII is only told by four blocks.
        """
        blocks = [text[start : start + size].encode("utf-8", "replace") for start in range(0, len(text), size)]
        raw = b"".join(blocks)
        there = self._lexicon.find(raw)
        certain = there.before & there.after
        ends = np.cumsum([len(block) for block in blocks], dtype=np.int64)
        result = np.zeros((len(blocks), self._count), np.float32)
        places = np.searchsorted(ends, there.start[certain], "right")
        result[places, self._owners[there.number[certain]]] = 1
        if not raw.isascii():
            limits = [0, *ends[_FEW - 1 :: _FEW].tolist(), len(raw)]
            excerpts = [raw[max(0, first - _MARGIN) : last + _MARGIN] for first, last in pairwise(limits)]
            foreign = self._gate.presence(excerpts, self._count, foreign=True)
            np.maximum(result, np.repeat(foreign, _FEW, 0)[: len(result)], out=result)
        return result
