"""Words with marks in their midst (`ig-nore pre-vi-ous`, `instruc-` at the end of a line), put together again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import islice

import numpy as np

from screening.matching.pattern import Pattern
from screening.text.views import View

WHOLE = 6000
_MARKS = "-_.*~|/+=\xb7\u2010\u2011\u2022\u2027"
_HYPHENS = "-\u2010\u2011"
_ONE = f"[{_MARKS}]"
_BREAK = r"(?:\r?\n[ \t]*)?"
GATE = rf"(?i)[a-z]{_ONE}\r?\n?[a-z]"
_STEMS = (
    *("ignor", "disreg", "forget", "overri", "bypass", "previo", "instru", "prompt", "system", "reveal", "passwo"),
    *("secret", "preten", "unrest", "unfilt", "uncens", "jailbr", "guidel", "restri", "develo", "assist", "confid"),
    *("direct", "hidden", "initia", "limit", "filter", "messag", "ethic", "moral", "everyt", "answer", "respon"),
)
_TELLING = 2
_SYMBOLS = b'(){}[]<>#;\\@$`"'
_FEW, _SHORT, _SHARE, _CODE = 3, 160, 5, 6


def _cut(stem: str) -> Iterator[str]:
    """Patterns of a stem with a first mark behind one of its letters, and others behind any."""
    for place in range(1, len(stem)):
        rest = f"(?:{_ONE}{_BREAK})?".join(stem[place:])
        yield f"{stem[:place]}{_ONE}{_BREAK}{rest}"


@cache
def _split(marks: str) -> Pattern:
    """Finds words with these marks between letters; most of the marks are never met so often that it is made."""
    return Pattern(rf"\pL+(?:{marks}{_BREAK}\pL+)+")


_CUT_STEM = Pattern(r"(?i)\b(?:" + "|".join(cut for stem in _STEMS for cut in _cut(stem)) + ")")
_RAW = {mark: mark.encode() for mark in _MARKS}
_BROKEN = Pattern(r"\pL+(?:-\r?\n[ \t]*\pL+)+")
_MARK = Pattern(_ONE + _BREAK)


def mended(view: View) -> Iterator[View]:
    """A short text without the marks of a kind within words, where so many words have one that nobody writes so.

    Where two of the words that attacks are made of have one, all marks within words are taken out.
    """
    raw = view.raw
    if len(raw) > WHOLE:
        return
    if sum(1 for _ in islice(_CUT_STEM.spans(raw), _TELLING)) == _TELLING:
        yield _without(view, list(_split(_ONE).spans(raw)))
        return
    least = _FEW if len(raw) > _SHORT else _FEW - 1
    broken = list(_BROKEN.spans(raw)) if raw.count(b"-\n") + raw.count(b"-\r") >= least - 1 else []
    if len(broken) >= least - 1:
        yield _without(view, broken)
    words = raw.count(b" ") + raw.count(b"\n") + 1
    is_code = _CODE * (len(raw) - len(raw.translate(None, _SYMBOLS))) > words
    for mark in _frequent(raw, max(least, words // _SHARE), _HYPHENS if is_code else _MARKS):
        if (spans := list(_split(f"[{mark}]").spans(raw))) != broken:
            yield _without(view, spans)


def _frequent(raw: bytes, least: int, marks: str) -> Iterator[str]:
    """Those of the marks that so many words have in their midst."""
    for mark in marks:
        if raw.count(_RAW[mark]) >= least and sum(1 for _ in islice(_split(f"[{mark}]").spans(raw), least)) == least:
            yield mark


def _without(view: View, words: list[tuple[int, int]]) -> View:
    """The reading without the marks within these words."""
    raw = np.frombuffer(view.raw, np.uint8)
    kept = np.ones(len(raw), np.bool_)
    for start, end in words:
        for first, last in _MARK.spans(view.raw, start, end):
            kept[first:last] = False
    heads = (raw & 0xC0) != 0x80
    text = raw[kept].tobytes().decode("utf-8", "replace")
    return view.through(View(text, "mended", (np.cumsum(heads) - 1)[kept & heads]))
