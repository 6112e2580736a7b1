"""Character by character: compatibility forms, invisible characters, Unicode tags, foreign digits, look-alikes."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from screening.matching.pattern import Pattern
from screening.text.foreign import Foreign, pieced
from screening.text.growth import Growth, Widths
from screening.text.hiding import CONTROLS, INVISIBLE, SELECTORS, TAGS, Codes, hidden, smuggled
from screening.text.letters import look_alikes, unaccented
from screening.text.views import Offsets, View

_CODES = 0x110000
_WIDEST = 4
_GROWTH = 3.1
_SEVERAL = 100
_BREAKS = {"\u2028": "\n", "\u2029": "\n", "\x85": "\n", "\x0b": "\n", "\x0c": "\n"}
_VANISHING = INVISIBLE.union(TAGS)
_FOREIGN = (
    *((0x250, 0x2AF), (0x370, 0x58F), (0x10A0, 0x13FF), (0x1400, 0x167F), (0x16A0, 0x16F8), (0x1D00, 0x1D7F)),
    *((0x2C80, 0x2CFF), (0x2D30, 0x2D7F), (0xA4D0, 0xA4FF), (0xAB30, 0xABBF), (0x10280, 0x1035F), (0x10400, 0x1052F)),
    *((0x118A0, 0x118FF), (0x16F00, 0x16F9F)),
)
_SQUARES = ((0x1F130, 0x1F18A), (0x1F1E6, 0x1F1FF))
_SCRIPTS = (*_FOREIGN, *_SQUARES)
_OTHER = "[" + "".join(f"\\x{{{first:X}}}-\\x{{{last:X}}}" for first, last in _FOREIGN) + "]"
_BOX = "[" + "".join(f"\\x{{{first:X}}}-\\x{{{last:X}}}" for first, last in _SQUARES) + "]"
_BOXED = f"(?:{_BOX} ?){{3}}{_BOX}|[\\x{{250}}-\\x{{2AF}}\\x{{1D00}}-\\x{{1D7F}}]{{3}}"
_DISUSED = r"[\x{261}\x{475}\x{501}\x{51B}\x{51D}]"
"""Letters that look Latin and that hardly any language writes: between Cyrillic ones they are there to be misread."""
_MIXED = Pattern(rf"[A-Za-z]{_OTHER}|{_OTHER}[A-Za-z]|{_BOXED}|\p{{Cyrillic}}{_DISUSED}|{_DISUSED}\p{{Cyrillic}}")
_FOREIGN_WORD = Pattern(f"{_OTHER}{{4,}}")
_PARENTHESIZED = (*range(0x249C, 0x24B6), *range(0x1F110, 0x1F12A))
_AS_IT_IS = {0x3F9: "\u03f9"}
"""A sigma without its look: NFKC knows what it means, a reader sees a C."""
_KNOWN, _LETTER, _WIDTH = 1, 2, 2
_MOST, _BEGINNING = 8, 8_000


def _forms(chars: str) -> list[str]:
    """What each character stands for; a line each, so that none of them joins with the next."""
    forms = unicodedata.normalize("NFKC", "\n".join(chars)).split("\n")
    return [
        _replacement(char) if char.isdigit() or char in _BREAKS or ord(char) in _VANISHING else _form(ord(char), form)
        for char, form in zip(chars, forms, strict=True)
    ]


def _form(code: int, form: str) -> str:
    """The compatibility form; of a letter in brackets the letter."""
    return form[1:2] if code in _PARENTHESIZED else _AS_IT_IS.get(code, form[:_WIDEST])


def _replacement(char: str) -> str:
    """What a character stands for that normalisation leaves as it is."""
    code = ord(char)
    if code in TAGS:
        return chr(code - 0xE0000) if 0x20 <= code - 0xE0000 < 0x7F else ""
    if code in INVISIBLE:
        return ""
    return _BREAKS.get(char) or str(unicodedata.digit(char))


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
        self._vanishing = np.ones(128, np.bool_)
        self._vanishing[[code for code in range(127) if code not in INVISIBLE]] = False
        accents = unaccented()
        self._accents = _table(accents)
        self._alike = _table({**accents, **look_alikes()})

    def base(self, text: str) -> tuple[View, Disguise]:
        """NFKC, ASCII digits, tags made visible and invisible characters gone; what that took."""
        raw = text.encode("utf-8", "replace")
        controlled = len(raw.translate(None, CONTROLS)) < len(raw)
        if text.isascii() and not controlled:
            return View(text, raw=raw), Disguise()
        few = None if controlled else Foreign.few(raw)
        if few and (read := self._sparse(text, few)):
            return read
        codes = _codes(text)
        places = np.flatnonzero(self._vanishing[np.minimum(codes, 127)] if controlled else codes > 127)
        foreign = codes[places]
        target, widths, disguise = self._meant(foreign)
        first = codes.copy()
        first[places] = target
        if (widths == 1).all():
            result = text if (target == foreign).all() else _text(first)
            return self._told(View(result), disguise)
        if widths.sum(dtype=np.int64) > _GROWTH * len(codes):
            widths = np.minimum(widths, 1, dtype=np.uint8)  # made to swell: the first character of each form must do
        result, origin = self._grown(codes, first, places, widths)
        return self._told(View(result, origin=origin), replace(disguise, invisible=hidden(codes, places[widths == 0])))

    def _sparse(self, text: str, few: Foreign) -> tuple[View, Disguise] | None:
        """As `base`, of a long text with few characters that are not ASCII; None where many of them become others."""
        target, widths, disguise = self._meant(few.codes)
        changed = np.flatnonzero((widths != 1) | (target != few.codes)).tolist()
        if len(changed) > _SEVERAL:
            return None
        if not changed:
            return self._told(View(text, raw=few.raw), disguise)
        forms = [chr(target[i]) if widths[i] == 1 else self._long.get(int(few.codes[i]), "") for i in changed]
        raw = few.replaced(zip(changed, forms, strict=True))
        if (widths == 1).all():
            return self._told(View(raw.decode(), raw=raw), disguise)
        origin = pieced(len(text), few.places[changed].tolist(), list(map(len, forms)))
        gone = few.places[widths == 0]
        invisible = hidden(_codes(text), gone) if len(gone) else 0
        return self._told(View(raw.decode(), origin=origin, raw=raw), replace(disguise, invisible=invisible))

    def _meant(self, foreign: Codes) -> tuple[Codes, Widths, Disguise]:
        """What characters stand for: the first of each form, and how many it has; `mixed` where letters may be."""
        traits = self._traits[foreign]
        if not (traits & _KNOWN).all():
            self._learn(foreign[(traits & _KNOWN) == 0])
            traits = self._traits[foreign]
        widths: Widths = (traits >> _WIDTH).astype(np.uint8, copy=False)
        target = self._target[foreign]
        tags = self._tagged(foreign, target, widths)
        return target, widths, Disguise(tags=tags, mixed=int((traits & _LETTER).any()))

    def _told(self, view: View, disguise: Disguise) -> tuple[View, Disguise]:
        """With the words of mixed scripts counted, where there can be any."""
        return view, replace(disguise, mixed=_count(_MIXED, view.raw)) if disguise.mixed else disguise

    def _tagged(self, foreign: Codes, target: Codes, widths: Widths) -> int:
        """Make visible what variation selectors spell; how many characters of hidden text there are with the tags."""
        if not len(foreign) or foreign.max() < TAGS.start:
            return 0
        spelt = smuggled(foreign)
        target[spelt] = foreign[spelt] - np.uint32(SELECTORS.start - 16)
        widths[spelt] = 1
        return int(((foreign > TAGS.start + 0x20) & (foreign < TAGS.stop - 1) | spelt).sum())

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
        forms = [self._long.get(code, "") for code in codes[places].tolist()]
        parts: list[str] = []
        position = 0
        for place, form in zip(places, forms, strict=True):
            parts += (text[position:place], form)
            position = place + 1
        return "".join((*parts, text[position:])), pieced(len(text), places, list(map(len, forms)))

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
        if not look_alikes and (few := Foreign.few(view.raw)):
            target = self._accents[few.codes]
            changed = np.flatnonzero(target != few.codes).tolist()
            if not changed:
                return None
            if len(changed) <= _SEVERAL:
                raw = few.replaced((number, chr(target[number])) for number in changed)
                return View(raw.decode(), "folded", view.origin, view.until, view.span, raw)
        codes = _codes(view.text)
        places = np.flatnonzero(codes > 127)
        foreign = codes[places]
        target = (self._alike if look_alikes else self._accents)[foreign]
        if (target == foreign).all():
            return None
        folded = codes.copy()
        folded[places] = target
        if look_alikes:
            _lowered(folded, places)
        return View(_text(folded), "folded", view.origin, view.until, view.span)

    def is_foreign(self, view: View) -> bool:
        """Whether words of another script are twice as many as places where scripts mix: it is meant as it stands."""
        beginning = view.raw[:_BEGINNING]
        return _count(_FOREIGN_WORD, beginning, _BEGINNING) >= 2 * _count(_MIXED, beginning, _BEGINNING)

    def is_marked(self, view: View) -> bool:
        """Whether so many of the letters have marks that it is no language: more than two of five."""
        few = Foreign.few(view.raw)
        codes = few.codes if few else _codes(view.text)
        marked = int(np.count_nonzero(self._accents[codes] != codes))
        return marked > 0 and 5 * marked > 2 * (marked + _letters(view.raw))


def _lowered(folded: Codes, places: Offsets) -> None:
    """What passed for a capital I behind a small letter is an l: in two steps, for two of them."""
    places = places[(folded[places] == ord("I")) & (places > 0)]
    for _ in range(2):
        before = folded[places - 1]
        folded[places[(before >= ord("a")) & (before <= ord("z"))]] = ord("l")


def _letters(raw: bytes) -> int:
    """How many letters are ASCII."""
    return int(np.count_nonzero((np.frombuffer(raw, np.uint8) | 0x20) - np.uint8(ord("a")) < 26))


def _codes(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)


def _text(codes: Codes) -> str:
    return str(codes.astype("<u4", copy=False).data, "utf-32-le", "replace")


def _table(mapping: dict[int, str]) -> Codes:
    table = np.arange(_CODES, dtype=np.uint32)
    table[list(mapping)] = [ord(char) for char in mapping.values()]
    return table


def _count(pattern: Pattern, raw: bytes, most: int = _MOST) -> int:
    return sum(1 for _ in islice(pattern.spans(raw), most))
