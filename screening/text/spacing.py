"""Letters written apart (`i g n o r e`, `i.g.n.o.r.e`, a flag or a heart between any two), put together again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from screening.matching.pattern import Pattern
from screening.text.views import Offsets, View

GATE = r"\b\p{L}[ ._*|/~-]\p{L}[ ._*|/~-]\p{L}[ ._*|/~-]"
_GAP = "[^a-z0-9]{1,2}"
ANY_GATE = (
    rf"(?i)[a-z]{_GAP}[a-z]{_GAP}[a-z]{_GAP}[a-z][^a-z0-9]"
    rf"|[^a-z0-9][a-z]{_GAP}[013457@$]{_GAP}[a-z]{_GAP}[a-z0-9@$][^a-z0-9]"
)
_SPACED = Pattern(r"\b\p{L}(?:[ ._*|/~-]{1,2}\p{L}\b){4,}(?:[ ._*|/~-]{2,6}\p{L}(?:[ ._*|/~-]{1,2}\p{L}\b)+)*")
_APART = Pattern(r"[\p{L}\p{N}$@](?:[^\p{L}\p{N}$@]{1,6}[\p{L}\p{N}$@]){4,}")
_RUNS, WHOLE = 64, 6000
_LETTER = np.array([chr(code).isalnum() or chr(code) in "$@" for code in range(0x3000)])
_BLANK = np.array([chr(code).isspace() for code in range(0x3002)])
_ENDS = np.array([ord(char) for char in ".,;:!?"], np.uint32)

Codes = NDArray[np.uint32]


def closed(view: View, *, spaced: bool) -> Iterator[View]:
    """A short text with what was written apart in words; of a long one each stretch with the usual gaps, if `spaced`.

    Its name is `squashed` where no gap tells the words from each other, and in a long text: it has many stretches.
    """
    size = len(view.raw)
    if size > WHOLE:
        for _, run in zip(range(_RUNS), _SPACED.spans(view.raw) if spaced else (), strict=False):
            yield replace(_joined(view, [run], *run), name="squashed")
    elif runs := [run for _, run in zip(range(_RUNS), _runs(view.raw), strict=False)]:
        yield _joined(view, runs, 0, size)


def _runs(raw: bytes) -> Iterator[tuple[int, int]]:
    """Where five and more letters stand apart, without the ends of words beside them."""
    for first, last in _APART.spans(raw):
        start, end = first, last
        if raw[max(0, start - 4) : start].decode("utf-8", "ignore")[-1:].isalnum():
            start += len(raw[start : start + 4].decode("utf-8", "ignore")[:1].encode())
        if raw[end : end + 4].decode("utf-8", "ignore")[:1].isalnum():
            end -= len(raw[max(0, end - 4) : end].decode("utf-8", "ignore")[-1:].encode())
        yield start, end


def _joined(view: View, runs: list[tuple[int, int]], low: int, high: int) -> View:
    """A reading of the bytes [low, high) of a view with the runs in it closed up."""
    parts: list[Codes] = []
    kept: list[Offsets] = []
    position, place = low, view.character(low)
    words = False
    for start, end in [*runs, (high, high)]:
        for codes, close in ((_codes(view.raw[position:start]), False), (_codes(view.raw[start:end]), True)):
            some, stays = _closed_up(codes) if close and len(codes) else (codes, np.arange(len(codes)))
            words |= close and bool((some == ord(" ")).any())
            parts.append(some)
            kept.append(stays + place)
            place += len(codes)
        position = end
    text = str(np.concatenate(parts).astype("<u4").data, "utf-32-le", "replace")
    inner = View(text, "spaced" if words else "squashed", np.concatenate(kept))
    return view.through(inner)


def _codes(raw: bytes) -> Codes:
    return np.frombuffer(raw.decode("utf-8", "ignore").encode("utf-32-le"), np.uint32)


def _closed_up(codes: Codes) -> tuple[Codes, Offsets]:
    """Letters with a space for each gap that parts words, and the marks that end sentences; and where they stood."""
    kept = _LETTER[np.minimum(codes, 0x2FFF)] | (codes > 0x3000) & (codes < 0xD800)
    letters = np.flatnonzero(kept)
    before = np.append(0, np.cumsum(_BLANK[np.minimum(codes, 0x3001)]))
    sizes = np.diff(letters) - 1
    blanks = before[letters[1:]] - before[letters[:-1] + 1]
    usual = np.bincount(sizes * 8 + np.minimum(blanks, 7)).argmax()
    example = int(np.flatnonzero(sizes * 8 + np.minimum(blanks, 7) == usual)[0])
    common = codes[letters[example] + 1 : letters[example + 1]]
    alike = np.append(0, np.cumsum(np.isin(codes, common)))
    same = alike[letters[1:]] - alike[letters[:-1] + 1] == sizes
    wide = (blanks > usual % 8) | ((sizes > usual // 8) & same)
    text = codes.copy()
    text[letters[1:][wide] - 1] = ord(" ")
    kept |= np.isin(codes, _ENDS) & ~np.isin(codes, common)
    kept[letters[1:][wide] - 1] = True
    return text[kept], np.flatnonzero(kept)
