"""Character by character: compatibility forms, invisible characters, Unicode tags, foreign digits, look-alikes."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from importlib import resources

import numpy as np

from screening.matching.pattern import Pattern
from screening.text.growth import Growth, Widths
from screening.text.hiding import Codes, hidden
from screening.text.views import Offsets, View

_CODES = 0x110000
_WIDEST = 4
_GROWTH = 3.1
_SEVERAL = 100
_INVISIBLE = frozenset([
    173, 847, 1564, 4447, 4448, 6068, 6069, 6158, 12644, 65279, 65440, 65532, *range(8203, 8208),
    *range(8234, 8239), *range(8288, 8304), *range(65024, 65040), *range(768, 880), *range(6155, 6158),
    *range(119155, 119163), *range(917760, 918000),
])  # fmt: skip
_BREAKS = {"\u2028": "\n", "\u2029": "\n", "\x85": "\n", "\x0b": "\n", "\x0c": "\n"}
_TAGS = range(0xE0000, 0xE0080)
_VANISHING = _INVISIBLE.union(_TAGS)
_OTHER = r"[\x{250}-\x{2AF}\x{370}-\x{52F}\x{10A0}-\x{13FF}\x{1D00}-\x{1D7F}\x{2C80}-\x{2CFF}\x{A4D0}-\x{A4FF}]"
_BOXED = r"[\x{1F130}-\x{1F18A}\x{1F1E6}-\x{1F1FF}]{4}|[\x{250}-\x{2AF}\x{1D00}-\x{1D7F}]{3}"
_SCRIPTS = (
    *((0x250, 0x2AF), (0x370, 0x52F), (0x10A0, 0x13FF), (0x1D00, 0x1D7F), (0x2C80, 0x2CFF), (0xA4D0, 0xA4FF)),
    *((0x1F130, 0x1F18A), (0x1F1E6, 0x1F1FF)),
)
_MIXED = Pattern(f"[A-Za-z]{_OTHER}|{_OTHER}[A-Za-z]|{_BOXED}")
_KNOWN, _LETTER, _WIDTH = 1, 2, 2
_MOST = 8


def _forms(chars: str) -> list[str]:
    """What each character stands for; a line each, so that none of them joins with the next."""
    forms = unicodedata.normalize("NFKC", "\n".join(chars)).split("\n")
    return [
        _replacement(char) if char.isdigit() or char in _BREAKS or ord(char) in _VANISHING else form[:_WIDEST]
        for char, form in zip(chars, forms, strict=True)
    ]


def _replacement(char: str) -> str:
    """What a character stands for that normalisation leaves as it is."""
    code = ord(char)
    if code in _TAGS:
        return chr(code - 0xE0000) if 0x20 <= code - 0xE0000 < 0x7F else ""
    if code in _INVISIBLE:
        return ""
    return _BREAKS.get(char) or str(unicodedata.digit(char))


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
    """What was taken off: hidden tag characters, invisible characters inside words, mixed words.

    `exhausting`: there was more of it than is undone.
    """

    tags: int = 0
    invisible: int = 0
    mixed: int = 0
    exhausting: bool = False


class Characters:
    """Takes characters to the ones they stand for, by table, in time linear in the text."""

    def __init__(self) -> None:
        self._traits = np.full(_CODES, 1 << _WIDTH, np.uint8)
        self._target = np.arange(_CODES, dtype=np.uint32)
        self._long: dict[int, str] = {}
        for first, last in _SCRIPTS:
            self._traits[first : last + 1] |= _LETTER
        accents = _unaccented()
        self._accents = _table(accents)
        self._alike = _table({**accents, **_look_alikes()})

    def base(self, text: str) -> tuple[View, Disguise]:
        """NFKC, ASCII digits, tags made visible and invisible characters gone; what that took."""
        if text.isascii():
            return View(text), Disguise()
        codes = _codes(text)
        places = np.flatnonzero(codes > 127)
        foreign = codes[places]
        traits = self._traits[foreign]
        if not (traits & _KNOWN).all():
            self._learn(foreign[(traits & _KNOWN) == 0])
            traits = self._traits[foreign]
        mixed = bool((traits & _LETTER).any())
        widths: Widths = (traits >> _WIDTH).astype(np.uint8, copy=False)
        target = self._target[foreign]
        first = codes.copy()
        first[places] = target
        if (widths == 1).all():
            result = text if (target == foreign).all() else _text(first)
            return View(result), Disguise(mixed=_count(_MIXED, result) if mixed else 0)
        if widths.sum(dtype=np.int64) > _GROWTH * len(codes):
            widths = np.minimum(widths, 1, dtype=np.uint8)  # made to swell: the first character of each form must do
        result, origin = self._grown(codes, first, places, widths)
        disguise = Disguise(
            tags=int(((foreign > 0xE0020) & (foreign < 0xE007F)).sum()),
            invisible=hidden(codes, places[widths == 0]),
            mixed=_count(_MIXED, result) if mixed else 0,
        )
        return View(result, origin=origin), disguise

    def _grown(self, codes: Codes, first: Codes, places: Offsets, widths: Widths) -> tuple[str, Offsets]:
        """The reading when characters became several, or none, of which the `first` ones are known; where they were."""
        changed = np.flatnonzero(widths != 1)
        if len(changed) <= _SEVERAL:
            return self._pieced(codes, _text(first), places[changed].tolist())
        growth = Growth(len(codes), places[changed], widths[changed])
        origin = growth.origin()
        return _text(self._filled(codes, growth, first[origin])), origin

    def _pieced(self, codes: Codes, text: str, places: list[int]) -> tuple[str, Offsets]:
        """As `_filled`, put together from what is between the few characters that became several, or none."""
        parts: list[str] = []
        origin: list[Offsets] = []
        position = 0
        for place in places:
            code = int(codes[place])
            form = self._long.get(code, "")
            parts += (text[position:place], form)
            origin += (np.arange(position, place), np.full(len(form), place))
            position = place + 1
        return "".join((*parts, text[position:])), np.concatenate((*origin, np.arange(position, len(text))))

    def _learn(self, unknown: Codes) -> None:
        """Look up the forms of characters not met before; two threads may do the same work, with the same result."""
        among = np.zeros(_CODES, np.bool_)
        among[unknown] = True
        new = np.flatnonzero(among).astype(np.uint32)
        for char, form in zip(_text(new), _forms(_text(new)), strict=True):
            if form != char:
                code = ord(char)
                self._traits[code] = self._traits[code] & _LETTER | len(form) << _WIDTH
                if form:
                    self._target[code] = ord(form[0])
                if len(form) > 1:
                    self._long[code] = form
        self._traits[new] |= _KNOWN

    def _filled(self, codes: Codes, growth: Growth, result: Codes) -> Codes:
        """Fill in the characters that became several."""
        grown = np.flatnonzero(growth.widths > 1)
        if len(grown):
            starts = growth.starts[grown]
            kinds, kind = np.unique(codes[growth.places[grown]], return_inverse=True)
            forms = [self._long[code] for code in kinds.tolist()]
            for offset in range(1, _WIDEST):
                chars = np.array([ord(form[offset]) if offset < len(form) else 0 for form in forms], np.uint32)[kind]
                there = chars > 0
                result[starts[there] + offset] = chars[there]
        return result

    def folded(self, view: View, *, look_alikes: bool) -> View | None:
        """The reading without accents, and with look-alikes of other scripts as Latin letters; None when the same."""
        codes = _codes(view.text)
        places = np.flatnonzero(codes > 127)
        foreign = codes[places]
        target = (self._alike if look_alikes else self._accents)[foreign]
        if (target == foreign).all():
            return None
        folded = codes.copy()
        folded[places] = target
        return View(_text(folded), "folded", view.origin, view.until, view.span)


def _codes(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)


def _text(codes: Codes) -> str:
    return str(codes.astype("<u4", copy=False).data, "utf-32-le", "replace")


def _table(mapping: dict[int, str]) -> Codes:
    table = np.arange(_CODES, dtype=np.uint32)
    table[list(mapping)] = [ord(char) for char in mapping.values()]
    return table


def _count(pattern: Pattern, text: str) -> int:
    count = 0
    for _ in pattern.spans(text.encode("utf-8", "replace")):
        count += 1
        if count == _MOST:
            break
    return count
