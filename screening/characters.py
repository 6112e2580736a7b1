"""Character by character: compatibility forms, invisible characters, Unicode tags, foreign digits, look-alikes."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from importlib import resources

import numpy as np

from screening.matcher import Pattern
from screening.views import View

_INVISIBLE = frozenset(
    [0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x3164, 0xFEFF, 0xFFA0, 0xFFFC]
    + [*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), *range(0xFE00, 0xFE10)]
    + [*range(0x0300, 0x0370), *range(0x180B, 0x180E), *range(0x1D173, 0x1D17B), *range(0xE0100, 0xE01F0)]
)
_BREAKS = {"\u2028": "\n", "\u2029": "\n", "\x85": "\n", "\x0b": "\n", "\x0c": "\n"}
_TAGS = range(0xE0000, 0xE0080)
_MIXED = Pattern(r"[A-Za-z][\x{370}-\x{52F}\x{10A0}-\x{13FF}\x{2C80}-\x{2CFF}\x{A4D0}-\x{A4FF}\x{1D00}-\x{1D7F}\x{250}-\x{2AF}]"
                 r"|[\x{370}-\x{52F}\x{10A0}-\x{13FF}\x{2C80}-\x{2CFF}\x{A4D0}-\x{A4FF}\x{1D00}-\x{1D7F}\x{250}-\x{2AF}][A-Za-z]"
                 r"|[\x{1F130}-\x{1F18A}\x{1F1E6}-\x{1F1FF}]{4}|[\x{1D00}-\x{1D7F}\x{250}-\x{2AF}]{3}")  # fmt: skip
_HIDDEN = Pattern(r"[a-z][\x{200B}-\x{200F}\x{2060}-\x{2064}\x{FEFF}\x{AD}\x{202A}-\x{202E}]+[a-z]")


def _replacement(char: str) -> str:
    code = ord(char)
    if code in _INVISIBLE:
        return ""
    if code in _TAGS:
        return chr(code - 0xE0000) if 0x20 <= code - 0xE0000 < 0x7F else ""
    if char in _BREAKS:
        return "\n"
    if char.isdigit() and not char.isascii():
        return str(unicodedata.digit(char))
    return unicodedata.normalize("NFKC", char)


def _look_alikes() -> dict[int, str]:
    table: dict[int, str] = {}
    for line in (resources.files("screening") / "data" / "confusables.tsv").read_text("utf-8").splitlines():
        letter, mark, others = line.partition("\t")
        if mark and not line.startswith("#"):
            table |= dict.fromkeys(map(ord, others), letter)
    return table


def _unaccented() -> dict[int, str]:
    """Latin letters with marks, by their base letter; and the combining marks themselves, which vanish in place."""
    table: dict[int, str] = {}
    for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00)):
        base = unicodedata.normalize("NFD", chr(code))[0]
        if base.isascii():
            table[code] = base
    return table | {
        0x131: "i",
        0xF8: "o",
        0xD8: "O",
        0x142: "l",
        0x141: "L",
        0x111: "d",
        0xDF: "s",
        0xE6: "a",
        0x153: "o",
    }


@dataclass(frozen=True, slots=True)
class Disguise:
    """What was taken off: hidden tag characters, invisible characters inside words, words of two scripts."""

    tags: int = 0
    invisible: int = 0
    mixed: int = 0


class Characters:
    """Takes characters to the ones they stand for, in time linear in the text."""

    def __init__(self) -> None:
        self._forms: dict[str, str] = {}
        self._widths = np.ones(0x110000, np.int8)
        self._accents = _unaccented()
        self._alike = {**self._accents, **_look_alikes()}

    def base(self, text: str) -> tuple[View, Disguise]:
        """NFKC, ASCII digits, tags made visible and invisible characters gone; what that took."""
        if text.isascii():
            return View(text), Disguise()
        forms = self._forms
        for char in set(text).difference(forms):
            form = _replacement(char)
            if len(form) != 1:
                self._widths[ord(char)] = len(form)
            forms[char] = form
        changed = {ord(char): forms[char] for char in set(text) if forms[char] != char}
        if not changed:
            return View(text), Disguise(mixed=self._mixed(text))
        result = text.translate(changed)
        disguise = Disguise(
            tags=sum(text.count(chr(code)) for code in changed if code in _TAGS and code > 0xE0020),
            invisible=_count(_HIDDEN, text.lower()),
            mixed=self._mixed(result),
        )
        return View(result, origin=self._origin(text)), disguise

    def _origin(self, text: str) -> np.ndarray[tuple[int], np.dtype[np.int64]] | None:
        codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
        if len(codes) != len(text):
            return None
        widths = self._widths[codes]
        return None if (widths == 1).all() else np.repeat(np.arange(len(text)), widths)

    def _mixed(self, text: str) -> int:
        return _count(_MIXED, text)

    def folded(self, view: View, *, look_alikes: bool) -> View | None:
        """The reading without accents, and with look-alikes of other scripts as Latin letters; None when the same."""
        result = view.text.translate(self._alike if look_alikes else self._accents)
        return None if result == view.text else View(result, "folded", view.origin, view.until, view.span)


def _count(pattern: Pattern, text: str, most: int = 8) -> int:
    count = 0
    for _ in pattern.spans(text.encode("utf-8", "replace")):
        count += 1
        if count == most:
            break
    return count
