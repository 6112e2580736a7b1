"""Escapes, undone where they stand: percent signs, character references, and those of string literals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html.entities import html5

import numpy as np
from numpy.typing import NDArray

from screening.matching.pattern import Pattern
from screening.text.views import Offsets, View

_ENTITY = Pattern(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,24});?")
_UNICODE = r"\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|\\u(?:\{[0-9A-Fa-f]{1,6}\}|[0-9A-Fa-f]{4})"
_FEW_KINDS = Pattern(_UNICODE)
_ALL_KINDS = Pattern(rf"{_UNICODE}|\\U[0-9A-Fa-f]{{8}}|%u[0-9A-Fa-f]{{4}}|\\x[0-9A-Fa-f]{{2}}|\\[01][0-7]{{2}}")
_LONG = 6000
_MANY = 4000
_NEAR = 400
_VALUES = np.full(256, -1, np.int16)
for _i, _char in enumerate(b"0123456789"):
    _VALUES[_char] = _i
for _i, _char in enumerate(b"abcdef"):
    _VALUES[_char] = _VALUES[_char - 32] = 10 + _i


def entities(view: View) -> Iterator[View]:
    """Character references of HTML, with or without the semicolon."""
    return _inline(view, _ENTITY, _entity)


def escapes(view: View) -> Iterator[View]:
    """Those of string literals in many languages: of 4, 8 or 2 hex digits, of some in braces, of 3 octal ones.

    In a long text only the first kind and that in braces: documents are full of the others, for colours and bytes.
    """
    return _inline(view, _ALL_KINDS if len(view.raw) <= _LONG else _FEW_KINDS, _escape)


def percent(view: View) -> Iterator[View]:
    """RFC 3986 percent-encoding anywhere in the text, in place; `+` for a space when nothing else separates words."""
    raw = np.frombuffer(view.raw, np.uint8)
    if len(raw) < 3:
        return
    marks = np.flatnonzero(raw[:-2] == 0x25)
    high, low = _VALUES[raw[marks + 1]], _VALUES[raw[marks + 2]]
    whole = (high >= 0) & (low >= 0)
    marks, bytes_ = marks[whole], (high * 16 + low)[whole].astype(np.uint8)
    if len(marks) < 3:
        return
    result = raw.copy()
    result[marks] = bytes_
    keep = _near(marks, len(raw))
    ends = np.flatnonzero(keep[:-1] & ~keep[1:])
    result[ends] = 0x0A  # what follows here is from somewhere else
    keep[marks + 1] = keep[marks + 2] = False
    first = np.flatnonzero(keep)
    after = first + 1
    after[np.isin(first, marks, assume_unique=True)] += 2
    data = result[keep].tobytes()
    if b" " not in view.raw:
        data = data.replace(b"+", b" ")
    yield _from_bytes(view, data, first, after)


def _near(places: Offsets, length: int) -> NDArray[np.bool_]:
    """Which bytes are at most 400 from one of the places: the rest reads the same as it stands."""
    keep = np.zeros(length, np.bool_)
    apart = np.flatnonzero(np.diff(places) >= 2 * _NEAR)
    first, last = places[np.append(0, apart + 1)], places[np.append(apart, -1)]
    for start, end in zip(first.tolist(), last.tolist(), strict=True):
        keep[max(0, start - _NEAR) : end + _NEAR] = True
    return keep


def _from_bytes(view: View, data: bytes, first: Offsets, after: Offsets) -> View:
    """A reading of decoded bytes, given for each the span of bytes of `view` that it came from."""
    codes = np.frombuffer(data.decode("utf-8", "surrogateescape").encode("utf-32-le", "surrogatepass"), np.uint32)
    if len(data) != len(codes):
        lead = np.cumsum(_widths(codes)) - _widths(codes)
        first, after = first[lead], after[np.append(lead[1:], len(data)) - 1]
    strange = (codes >= 0xDC80) & (codes <= 0xDCFF)  # a byte that is no UTF-8 stands for the letter of Latin-1
    text = str(np.where(strange, codes - 0xDC00, codes).astype("<u4").data, "utf-32-le")
    start, end = first, after
    if len(view.raw) != len(view.text):
        position = _characters(view.raw)
        start, end = position[first], position[after - 1] + 1
    if view.origin is not None:
        return View(text, "decoded", view.origin[start], view.origin[end - 1] + 1)
    return View(text, "decoded", start, end)


def _widths(codes: NDArray[np.uint32]) -> Offsets:
    """How many bytes each character is in UTF-8; one that stands for a strange byte is that one."""
    widths = 1 + (codes > 0x7F).astype(np.int64) + (codes > 0x7FF) + (codes > 0xFFFF)
    widths[(codes >= 0xDC80) & (codes <= 0xDCFF)] = 1
    return widths


def _characters(raw: bytes) -> Offsets:
    """For each byte, the index of the character it belongs to."""
    heads = (np.frombuffer(raw, np.uint8) & 0xC0) != 0x80
    return np.asarray(np.cumsum(heads) - 1, np.int64)


def _inline(view: View, pattern: Pattern, value: Callable[[str], bytes | None]) -> Iterator[View]:
    """A reading with every escape replaced where it stands; escapes are ASCII, so bytes map to bytes."""
    parts: list[bytes] = []
    first: list[Offsets] = []
    after: list[Offsets] = []

    def stands(start: int, end: int) -> None:
        """Text without escapes; of a long one only what is near to an escape."""
        if end - start > 2 * _NEAR + 1:
            stands(start, start + _NEAR)
            parts.append(b"\n")
            first.append(np.array([start + _NEAR]))
            after.append(np.array([start + _NEAR + 1]))
            stands(end - _NEAR, end)
            return
        gap = np.arange(start, end)
        parts.append(view.raw[start:end])
        first.append(gap)
        after.append(gap + 1)

    position = count = 0
    for start, end in pattern.spans(view.raw):
        data = value(view.raw[start:end].decode())
        if data is None:
            continue
        count += 1
        stands(position, start)
        parts.append(data)
        first.append(np.full(len(data), start))
        after.append(np.full(len(data), end))
        position = end
        if count >= _MANY:
            yield View("", "cut")
            break
    if count < 3:
        return
    stands(position, len(view.raw))
    yield _from_bytes(view, b"".join(parts), np.concatenate(first), np.concatenate(after))


def _entity(text: str) -> bytes | None:
    body = text[1:].rstrip(";")
    if body[0] != "#":
        char = html5.get(body + ";")
        return char.encode() if char else None
    return _encoded(int("0" + body[1:].lower(), base=0) if body[1] in "xX" else int(body[1:]))


def _escape(text: str) -> bytes | None:
    kind, rest = text[1], text[2:].strip("{}")
    if kind in "01":
        return bytes([int(text[1:], 8)])
    if kind == "x":
        return bytes([int(rest, 16)])
    if len(rest) > 8:  # both halves of a surrogate pair
        return _encoded(0x10000 + ((int(rest[:4], 16) - 0xD800) << 10) + int(rest[6:], 16) - 0xDC00)
    return _encoded(int(rest, 16))


def _encoded(code: int) -> bytes | None:
    return chr(code).encode() if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else None
