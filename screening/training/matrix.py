"""The training texts as features: cues, their pairs and n-grams of every window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from screening.classifier.features import Grams
from screening.classifier.linear import AROUND, BLOCK, BUCKETS, CHAR_NORM, REACH, WORD_NORM, Cues, windows

Floats = NDArray[np.float64]
NARROW, BROAD = "narrow", "broad"
PAIR_SCALE, GRAM_SCALE = 0.5, 0.5
FAINT_SCALE, FAINT_PAIR_SCALE = 0.5, 0.2
FAINT = frozenset({
    "agent_trace", "drop_told_of", "everyday", "for_machines", "grade_it", "imperative_drop", "keys_and_files",
    "lapsed", "letters_of", "my_servant", "no_asking", "regardless", "someone_elses", "told_not_to", "whole_wording",
    "yours",
})  # fmt: skip
"""Cues of which harmless texts are full, too: their weights are held back more than those of the others."""
_WIDE = 1000
_LONGER = 600
"""Characters from which on a harmless text says something of its parts that the whole does not."""


@dataclass(frozen=True, slots=True)
class Text:
    """One training text; `group` is what is held out together, `derived` texts are never tested on."""

    text: str
    label: int
    source: str
    group: str
    derived: bool = False
    mix: str = ""


def learned_windows(text: Text) -> list[tuple[int, int]]:
    """The windows to learn from: wide ones, because not every narrow part of a long attack is one.

    No narrow part of a harmless text is an attack, so these are learned as they are judged, too.
    """
    length = len(text.text)
    if text.source == "documents" and text.mix == BROAD:
        return [(max(0, start - AROUND), end + AROUND) for start, end in windows(text.text)[::2]]
    if not text.derived and not text.label and length > _LONGER:
        starts = range(0, length - BLOCK - REACH, BLOCK)
        return [(0, length), *((start, min(length, start + 2 * (BLOCK + AROUND))) for start in starts)]
    if length <= _WIDE * 5 // 4:
        return [(0, length)]
    return [(start, min(length, start + _WIDE)) for start in range(0, length - _WIDE // 2, _WIDE // 2)]


def judged_windows(text: Text) -> list[tuple[int, int]]:
    """The windows by which a text is judged, with what is read around them."""
    return [(max(0, start - AROUND), end + AROUND) for start, end in windows(text.text)]


class Matrix:
    """Features of all windows of all texts (by default those to learn from), with the text each window belongs to."""

    def __init__(self, texts: list[Text], cut: Callable[[Text], list[tuple[int, int]]] = learned_windows) -> None:
        cues = Cues()
        self.names = cues.names
        self.pairs = [(a, b) for a in range(len(self.names)) for b in range(a + 1, len(self.names))]
        places = [cut(text) for text in texts]
        parts = [text.text[start:end] for text, spans in zip(texts, places, strict=True) for start, end in spans]
        self.lengths = [len(part) for part in parts]
        self.owner = np.repeat(np.arange(len(texts)), [len(spans) for spans in places])
        self.label = np.array([texts[index].label for index in self.owner])
        present = _presence(cues, parts)
        first, second = np.array(self.pairs).T
        faint = np.array([name in FAINT for name in self.names])
        self.scale = np.where(faint, FAINT_SCALE, 1.0)
        self.pair_scale = np.where(faint[first] | faint[second], FAINT_PAIR_SCALE, PAIR_SCALE)
        products = sp.csr_matrix(present[:, first] * present[:, second] * self.pair_scale)
        self.x = sp.hstack([sp.csr_matrix(present * self.scale), products, _grams(parts)], dtype=np.float32).tocsr()
        self._plain = np.ones(self.x.shape[1], np.float32)
        self._plain[: len(self.names) + len(self.pairs)] = ~np.concatenate((faint, faint[first] | faint[second]))

    def without_faint(self, rows: NDArray[np.bool_]) -> sp.csr_matrix:
        """These rows with the columns of faint cues and of their pairs empty."""
        chosen = self.x[rows]
        chosen.data *= self._plain[chosen.indices]
        return chosen


def _presence(cues: Cues, parts: list[str]) -> NDArray[np.float32]:
    present = np.zeros((len(parts), len(cues.names)), np.float32)
    for row, part in enumerate(parts):
        present[row, cues.found(part)] = 1
    return present


def _grams(parts: list[str]) -> sp.csr_matrix:
    rows: list[NDArray[np.int64]] = []
    values: list[Floats] = []
    ends = [0]
    for part in parts:
        grams = Grams(part)
        chars, words = grams.chars, grams.words + BUCKETS
        rows += (chars, words)
        values.append(np.full(len(chars), GRAM_SCALE / max(len(chars), CHAR_NORM) ** 0.5))
        values.append(np.full(len(words), GRAM_SCALE / max(len(words), WORD_NORM) ** 0.5))
        ends.append(ends[-1] + len(chars) + len(words))
    matrix = sp.csr_matrix(
        (np.concatenate(values), np.concatenate(rows), ends), shape=(len(parts), 2 * BUCKETS), dtype=np.float32
    )
    matrix.sum_duplicates()
    return matrix
