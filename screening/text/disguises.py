"""Words written to be read by people and missed by rules: leetspeak and spaced-out letters."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from screening.matching.pattern import Pattern
from screening.text import spacing
from screening.text.leetspeak import unleeted
from screening.text.views import View

GATES = {
    "leet": r"(?i)[a-z][013457@$!]+[a-z]",
    "spaced": spacing.GATE,
}
_LEET_WORD = Pattern(r"(?i)[a-z][013457@$!+]+[a-z]|\b[013457@$!]+[a-z]{2}|[a-z][013457@$!]{2}")
_NEAR, _AROUND, _STRETCH = 100, 80, 2000
_FEW, _SHORT = 3, 160


def undisguised(view: View, gates: set[str]) -> Iterator[View]:
    """The readings without leetspeak and without gaps between letters, for the gates that were hit."""
    if "leet" in gates:
        yield from _unleeted(view)
    if "spaced" in gates:
        yield from spacing.closed(view)


def _unleeted(view: View) -> Iterator[View]:
    """One reading for each stretch with three or more words in leetspeak close to each other: two in a short text."""
    for start, end in _stretches(view.raw):
        first, last = view.original(start, end)
        part = view.raw[start:end].decode("utf-8", "ignore")
        text = unleeted(part)
        origin = first + np.arange(len(text)) if last - first == len(text) else None
        yield View(text, "unleet", origin, span=None if origin is not None else (first, last))


def _stretches(raw: bytes) -> Iterator[tuple[int, int]]:
    """Where some words in leetspeak stand close together, 2,000 bytes at a time."""
    position, few = 0, _FEW if len(raw) > _SHORT else _FEW - 1
    while position < len(raw):
        close: list[int] = []
        for first, last in _LEET_WORD.spans(raw, position):
            if close and first - close[-1] > _NEAR:
                close.clear()
            close.append(last)
            if len(close) == few:
                break
        if len(close) < few:
            return
        if len(raw) <= _STRETCH:
            yield 0, len(raw)
            return
        position = close[0] + _STRETCH
        yield max(0, close[0] - _AROUND), min(len(raw), position + _AROUND)
