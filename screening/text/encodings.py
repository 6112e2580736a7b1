"""Encodings, undone once: base64, hex, binary, rot13 and reversal on a cue, and what escapes.py undoes in its place."""

from __future__ import annotations

import binascii
import codecs
from collections.abc import Callable, Iterator

from screening.matching.pattern import Pattern
from screening.text import escapes
from screening.text.views import View

GATES = {
    "base64": r"[A-Za-z0-9+/_-]{16}",
    "hex": r"[0-9A-Fa-f]{12}|[0-9A-Fa-f]{2}[ :,][0-9A-Fa-f]{2}[ :,][0-9A-Fa-f]{2}[ :,][0-9A-Fa-f]{2}"
    r"|[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-|[0-9A-Fa-f]{4} [0-9A-Fa-f]{4} [0-9A-Fa-f]{4} "
    r"|[0-9A-Fa-f]{8} [0-9A-Fa-f]{8} |(?:\\|0)x[0-9A-Fa-f]{2}",
    "percent": r"%[0-9A-Fa-f]{2}",
    "entity": r"&(?:#[0-9]|#[xX][0-9A-Fa-f]|[A-Za-z]{2,8};)",
    "escape": r"\\[uU]\{?[0-9A-Fa-f]{2}|[\\%](?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})|\\[01][0-7][0-7]",
    "binary": r"[01]{8} ?[01]{8}",
    "rot13": r"(?i)\b(?:rot-?13|caesar|cipher(?:ed|text)?"
    r"|gur|naq|lbh|lbhe|vtaber|cerivbhf|vafgeh(?:pgvba|xgvba|xpvw)\w*|flfgrz|cebzcg|sbetrg|rirelguvat|nyjnlf|arire"
    r"|vtabevrer|iretvff|nyyrf?|haq|qvr|qnf|avpug|byivq[nr]\w*|gbqb|dhr|bhoyvr|gbhg)\b",
    "reverse": r"(?i)\b(?:revers(?:e|ed|ing)|backwards?|snoitcurtsni|suoiverp|erongi|tpmorp)\b",
}
TURNED = "turned"
"""The name of a reading of a whole text, which is not read so again: twice is what it was."""
_BREAK = r"(?:\\r)?(?:\\n)|\r?\n[ \t>|#*]{0,12}"
"""Where lines end, or did before they were quoted, and what may stand before the next one."""
_BASE64 = Pattern(rf"[A-Za-z0-9+/_-]{{16,}}(?:(?:{_BREAK})[A-Za-z0-9+/_-]{{4,}})*={{0,2}}")
_HEX = Pattern(
    r"(?:(?:\\|0)x[0-9A-Fa-f]{2}(?:,?\s{1,12}|[ ,]{0,2})){4,}"
    rf"|(?:[0-9A-Fa-f]{{2}}(?:[ ]?(?:{_BREAK})|,[ ]|[ :,-]?)){{10,}}"
)
_SEPARATORS = b" \t\r\n>|#*="
_BINARY = Pattern(r"(?:[01]{8}[ ]?){4,}")
_BLOBS = 20_000
_SHORTEST = 16
_WHOLE = 8000
_TELLING = 32
_NOT_HEX = bytes(set(range(256)) - set(b"0123456789abcdefABCDEF"))


def decoded(view: View, gates: set[str]) -> Iterator[View]:
    """Every reading that one step of decoding gives, for the gates that were hit."""
    if "base64" in gates:
        yield from _blobs(view, _BASE64, _from_base64)
    if "hex" in gates:
        yield from _blobs(view, _HEX, _from_hex)
    if "binary" in gates:
        yield from _blobs(view, _BINARY, _from_binary)
    if "percent" in gates:
        yield from escapes.percent(view)
    if "entity" in gates:
        yield from escapes.entities(view)
    if "escape" in gates:
        yield from escapes.escapes(view)
    if "rot13" in gates:
        yield View(codecs.encode(view.text[:_WHOLE], "rot13"), TURNED, view.origin, view.until, view.span)
    if "reverse" in gates:
        yield View(view.text[:_WHOLE][::-1], TURNED, span=view.whole())


def readable(raw: bytes) -> str | None:
    """The bytes as text when they are text: valid UTF-8 (or what Windows calls Unicode), mostly letters and spaces."""
    wide = len(raw) % 2 == 0 and 5 * raw.count(0) > 2 * len(raw)
    try:
        text = raw.decode("utf-16-le" if wide else "utf-8")
    except UnicodeDecodeError:
        return None
    if len(text) < 8:
        return None
    sample = text[:512]
    told = str.isalnum if len(text) >= _TELLING else str.isalpha  # a few digits and letters are some number
    plain = sum(told(char) or char in " \n\t.,'\"!?;:-" or char > "\x9f" for char in sample)
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
    blob = blob.replace(b"\\r", b"").replace(b"\\n", b"") if b"\\" in blob else blob
    compact = blob.translate(None, _SEPARATORS).replace(b"-", b"+").replace(b"_", b"/")
    if len(compact) % 4 == 1:
        compact = compact[:-1]
    try:
        return readable(binascii.a2b_base64(compact + b"=" * (-len(compact) % 4)))
    except binascii.Error:
        return None


def _from_hex(blob: bytes) -> str | None:
    compact = blob.replace(b"0x", b"").translate(None, _NOT_HEX)  # a backslash's n is none of it
    return readable(bytes.fromhex(compact[: len(compact) // 2 * 2].decode()))


def _from_binary(blob: bytes) -> str | None:
    bits = blob.replace(b" ", b"")
    return readable(int(bits, 2).to_bytes(len(bits) // 8, "big")) if len(bits) <= 80_000 else None
