"""Words written to be read by people and missed by rules: leetspeak and spaced-out letters."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from screening.matching.pattern import Pattern
from screening.text import spacing, splitting
from screening.text.leetspeak import unleeted
from screening.text.views import View

GATES = {
    "leet": r"(?i)[a-z][013457@$!]+[a-z]",
    "spaced": spacing.GATE,
    "apart": spacing.ANY_GATE,
    "split": splitting.GATE,
}
BRIEF = {spacing.ANY_GATE: spacing.WHOLE, splitting.GATE: splitting.WHOLE}
"""The gates of what is only undone in short texts, and up to how many bytes: longer ones need not be read for them."""
_LEET_WORD = Pattern(r"(?i)[a-z][013457@$!]+[a-z]|\b[013457@$!]+[a-z]{4}")
_ANY_LEET = Pattern(r"(?i)[a-z][013457@$!+]+[a-z]|\b[013457@$!]+[a-z]{2}|[a-z][013457@$!]{2}")
_A_DIGIT = Pattern(r"(?i)[a-z][013457@$!]+[a-z]")
_NEAR, _AROUND, _STRETCH = 48, 80, 2000
_WIDE, _FEW, _SHORT = 100, 3, 160
_STRETCHES, _SAMPLE = 240, 80


def undisguised(view: View, gates: set[str]) -> Iterator[View]:
    """The readings without leetspeak and without gaps between letters, for the gates that were hit."""
    if "leet" in gates:
        yield from _unleeted(view)
    if gates & {"spaced", "apart"}:
        for closed in spacing.closed(view, spaced="spaced" in gates):
            yield closed
            if _A_DIGIT.found(closed.raw):
                yield from _unleeted(closed)
    if "split" in gates:
        yield from splitting.mended(view)


def _unleeted(view: View) -> Iterator[View]:
    """One reading for each stretch with three or more words in leetspeak close to each other: two in a short text.

    Of more than 240 the first 80 and the word that there was too much: it is refused whatever the others say.
    """
    stretches = list(islice(_stretches(view.raw), _STRETCHES + 1))
    cut = len(stretches) > _STRETCHES
    for start, end in stretches[:_SAMPLE] if cut else stretches:
        first, last = view.original(start, end)
        part = view.raw[start:end].decode("utf-8", "ignore")
        text = unleeted(part)
        origin = first + np.arange(len(text)) if last - first == len(text) else None
        yield View(text, "unleet", origin, span=None if origin is not None else (first, last))
    if cut:
        yield View("", "cut")


def _stretches(raw: bytes) -> Iterator[tuple[int, int]]:
    """Where some words in leetspeak stand close together, 2,000 bytes at a time; a short text is one such place."""
    if len(raw) <= _STRETCH:
        if _end_of_few(_ANY_LEET, raw, 0, _FEW if len(raw) > _SHORT else _FEW - 1, _WIDE) is not None:
            yield 0, len(raw)
        return
    position = 0
    while (first := _end_of_few(_LEET_WORD, raw, position, _FEW, _NEAR)) is not None:
        position = first + _STRETCH
        yield max(0, first - _AROUND), min(len(raw), position + _AROUND)


def _end_of_few(pattern: Pattern, raw: bytes, position: int, few: int, near: int) -> int | None:
    """Where the first of so many words ends that stand so near to each other."""
    close: list[int] = []
    for first, last in pattern.spans(raw, position):
        if close and first - close[-1] > near:
            close.clear()
        close.append(last)
        if len(close) == few:
            return close[0]
    return None
