"""Encodings, undone once: base64, hex, percent signs, character references, escapes, rot13 and reversal on a cue."""

from __future__ import annotations

import base64
import binascii
import codecs
from collections.abc import Callable, Iterator
from html.entities import html5

import numpy as np
from numpy.typing import NDArray

from screening.matching.pattern import Pattern
from screening.text.views import Offsets, View

GATES = {
    "base64": r"[A-Za-z0-9+/_-]{16}",
    "hex": r"[0-9A-Fa-f]{12}|[0-9A-Fa-f]{2}[ :,][0-9A-Fa-f]{2}[ :,][0-9A-Fa-f]{2}[ :,][0-9A-Fa-f]{2}"
    r"|(?:\\|0)x[0-9A-Fa-f]{2}",
    "percent": r"%[0-9A-Fa-f]{2}",
    "entity": r"&(?:#[0-9]|#[xX][0-9A-Fa-f]|[A-Za-z]{2,8};)",
    "escape": r"\\u\{?[0-9A-Fa-f]{4}",
    "binary": r"[01]{8} ?[01]{8}",
    "rot13": r"(?i)\b(?:rot-?13|caesar|cipher(?:ed|text)?"
    r"|gur|naq|lbh|lbhe|vtaber|cerivbhf|vafgeh(?:pgvba|xgvba|xpvw)\w*|flfgrz|cebzcg|sbetrg|rirelguvat|nyjnlf|arire"
    r"|vtabevrer|iretvff|nyyrf?|haq|qvr|qnf|avpug|byivq[nr]\w*|gbqb|dhr|bhoyvr|gbhg)\b",
    "reverse": r"(?i)\b(?:revers(?:e|ed|ing)|backwards?|snoitcurtsni|suoiverp|erongi|tpmorp)\b",
}
_BASE64 = Pattern(r"[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]{4,})*={0,2}")
_HEX = Pattern(r"(?:(?:\\|0)x[0-9A-Fa-f]{2}[ ,]{0,2}){4,}|(?:[0-9A-Fa-f]{2}[ :,]?){10,}")
_BINARY = Pattern(r"(?:[01]{8}[ ]?){4,}")
_ENTITY = Pattern(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,24});?")
_ESCAPE = Pattern(r"\\u(?:\{[0-9A-Fa-f]{1,6}\}|[0-9A-Fa-f]{4})")
_BLOBS = 20_000
_SHORTEST = 16
_WHOLE = 8000
_MANY = 4000
_NEAR = 400
_NOT_HEX = bytes(set(range(256)) - set(b"0123456789abcdefABCDEF"))
_VALUES = np.full(256, -1, np.int16)
for _i, _char in enumerate(b"0123456789"):
    _VALUES[_char] = _i
for _i, _char in enumerate(b"abcdef"):
    _VALUES[_char] = _VALUES[_char - 32] = 10 + _i


def decoded(view: View, gates: set[str]) -> Iterator[View]:
    """Every reading that one step of decoding gives, for the gates that were hit."""
    if "base64" in gates:
        yield from _blobs(view, _BASE64, _from_base64)
    if "hex" in gates:
        yield from _blobs(view, _HEX, _from_hex)
    if "binary" in gates:
        yield from _blobs(view, _BINARY, _from_binary)
    if "percent" in gates:
        yield from _percent(view)
    if "entity" in gates:
        yield from _inline(view, _ENTITY, _entity)
    if "escape" in gates:
        yield from _inline(view, _ESCAPE, _escape)
    if "rot13" in gates:
        yield View(codecs.encode(view.text[:_WHOLE], "rot13"), "decoded", view.origin, view.until, view.span)
    if "reverse" in gates:
        yield View(view.text[:_WHOLE][::-1], "decoded", span=(0, _length(view)))


def _length(view: View) -> int:
    return int(view.origin[-1]) + 1 if view.origin is not None and len(view.origin) else len(view.text)


def readable(raw: bytes) -> str | None:
    """The bytes as text when they are text: valid UTF-8, printable, and mostly letters and spaces."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    if len(text) < 8:
        return None
    sample = text[:512]
    plain = sum(char.isalpha() or char in " \n\t.,'\"!?;:-" for char in sample)
    return text if plain >= 0.8 * len(sample) else None


def _blobs(view: View, pattern: Pattern, decode: Callable[[bytes], str | None]) -> Iterator[View]:
    """A reading for each stretch that decodes to text; of lines that only look like one blob, each by itself."""
    for count, (start, end) in enumerate(pattern.spans(view.raw)):
        if count == _BLOBS:
            yield View("", "cut")
            return
        text = decode(view.raw[start:end])
        if text:
            yield View(text, "decoded", span=view.original(start, end))
        elif b"\n" in view.raw[start:end]:
            yield from _lines(view, start, end, decode)


def _lines(view: View, start: int, end: int, decode: Callable[[bytes], str | None]) -> Iterator[View]:
    for line in view.raw[start:end].split(b"\n"):
        text = decode(line) if len(line) >= _SHORTEST else None
        if text:
            yield View(text, "decoded", span=view.original(start, start + len(line)))
        start += len(line) + 1


def _from_base64(blob: bytes) -> str | None:
    if blob.islower() or blob.isupper():
        return None  # a name or a path: text in base64 mixes both
    compact = blob.translate(None, b"\r\n=").replace(b"-", b"+").replace(b"_", b"/")
    if len(compact) % 4 == 1:
        compact = compact[:-1]
    try:
        return readable(base64.b64decode(compact + b"=" * (-len(compact) % 4)))
    except binascii.Error:
        return None


def _from_hex(blob: bytes) -> str | None:
    compact = blob.replace(b"0x", b"").translate(None, _NOT_HEX)
    return readable(bytes.fromhex(compact[: len(compact) // 2 * 2].decode()))


def _from_binary(blob: bytes) -> str | None:
    bits = blob.replace(b" ", b"")
    return readable(int(bits, 2).to_bytes(len(bits) // 8, "big")) if len(bits) <= 80_000 else None


def _percent(view: View) -> Iterator[View]:
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
    text = data.decode("utf-8", "replace")
    if len(data) != len(text):
        clean = data.decode("utf-8", "ignore").encode()
        if clean != data:
            return View(text, "decoded", span=(0, _length(view)))
        lead = np.flatnonzero((np.frombuffer(data, np.uint8) & 0xC0) != 0x80)
        first, after = first[lead], after[np.append(lead[1:], len(data)) - 1]
    start, end = first, after
    if len(view.raw) != len(view.text):
        position = _characters(view.raw)
        start, end = position[first], position[after - 1] + 1
    if view.origin is not None:
        return View(text, "decoded", view.origin[start], view.origin[end - 1] + 1)
    return View(text, "decoded", start, end)


def _characters(raw: bytes) -> Offsets:
    """For each byte, the index of the character it belongs to."""
    heads = (np.frombuffer(raw, np.uint8) & 0xC0) != 0x80
    return np.asarray(np.cumsum(heads) - 1, np.int64)


def _inline(view: View, pattern: Pattern, value: Callable[[str], str | None]) -> Iterator[View]:
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
        char = value(view.raw[start:end].decode())
        if char is None:
            continue
        count += 1
        stands(position, start)
        data = char.encode("utf-8", "replace")
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


def _entity(text: str) -> str | None:
    body = text[1:].rstrip(";")
    if body[0] != "#":
        return html5.get(body + ";")
    code = int("0" + body[1:].lower(), base=0) if body[1] in "xX" else int(body[1:])
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else None


def _escape(text: str) -> str | None:
    code = int(text[2:].strip("{}"), 16)
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else None
