"""Words written to be read by people and missed by rules: leetspeak and spaced-out letters."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from screening.matcher import Pattern
from screening.views import View

GATES = {
    "leet": r"(?i)[a-z][013457@$!|]+[a-z]|\b[013457@$!|]+[a-z]{2}",
    "spaced": r"(?:\b\p{L}[ ._*|/~-]{1,2}){5}",
}
_LEET_WORD = Pattern(r"(?i)[a-z][013457@$!|]+[a-z]|\b[013457@$!|]+[a-z]{2}|[a-z]{2}[0134578@$!|]+\b")
_LETTERS = str.maketrans({"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g", "6": "g",
                          "@": "a", "$": "s", "!": "i", "|": "i", "+": "t", "€": "e", "£": "l", "¡": "i"})  # fmt: skip
_SPACED = Pattern(r"\b\p{L}(?:[ ._*|/~-]{1,2}\p{L}\b){4,}(?:[ ._*|/~-]{2,6}\p{L}(?:[ ._*|/~-]{1,2}\p{L}\b)+)*")


def undisguised(view: View, gates: set[str]) -> Iterator[View]:
    """The readings without leetspeak and without gaps between letters, for the gates that were hit."""
    if "leet" in gates and _several(_LEET_WORD, view.raw, 3):
        text = view.text.replace("11", "ll").translate(_LETTERS)
        yield View(text, "unleet", view.origin, view.until, view.span)
    if "spaced" in gates:
        yield from _squashed(view)


def _several(pattern: Pattern, raw: bytes, wanted: int) -> bool:
    return any(count == wanted for count, _ in enumerate(pattern.spans(raw), 1))


def _squashed(view: View) -> Iterator[View]:
    """One reading for each run of single letters, the gaps gone, wider gaps kept as spaces."""
    for count, (start, end) in enumerate(_SPACED.spans(view.raw)):
        if count == 64:
            return
        run = view.raw[start:end].decode()
        keep = [i for i, char in enumerate(run) if char.isalpha() or (char == " " and run[i - 1 : i] == " ")]
        text = "".join(run[i] for i in keep)
        first, last = view.original(start, end)
        origin = np.asarray(keep, np.int64) + first if last - first == len(run) else None
        yield View(text, "squashed", origin, span=None if origin is not None else (first, last))
