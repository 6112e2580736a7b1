"""Letters that stand for Latin ones: with marks, hooks and strokes, small capitals, look-alikes of other scripts."""

from __future__ import annotations

import unicodedata
from importlib import resources

_EXTENDED = (
    *range(0xC0, 0x2B0),
    *range(0x1D00, 0x1DC0),
    *range(0x1E00, 0x1F00),
    *range(0x2C60, 0x2C80),
    *range(0xA720, 0xA800),
    *range(0xAB30, 0xAB70),
)
_OTHERWISE = {0x131: "i", 0xDF: "s", 0xE6: "a", 0x153: "o", 0x269: "i", 0x284: "f", 0x289: "u", 0x28A: "u"}
_UNLIKE = {"TURNED", "SIDEWAYS", "INVERTED"}
_CHEROKEE = (*range(0x13F8, 0x13FE), *range(0xAB70, 0xABC0))


def unaccented() -> dict[int, str]:
    """Latin letters with marks, hooks and strokes, and those in small capitals, by their base letter."""
    table: dict[int, str] = {}
    for code in _EXTENDED:
        base = unicodedata.normalize("NFD", chr(code))[0]
        if not base.isascii():
            base = _named(unicodedata.name(chr(code), ""))
        if base:
            table[code] = base
    return table | _OTHERWISE


def _named(name: str) -> str:
    """The letter that a Latin letter is called after: o of `LATIN SMALL LETTER O WITH STROKE`."""
    words = name.partition(" WITH ")[0].split()
    if len(words) < 3 or words[0] != "LATIN" or len(words[-1]) != 1 or _UNLIKE.intersection(words):
        return ""
    return words[-1] if words[1] == "CAPITAL" else words[-1].lower()


def look_alikes() -> dict[int, str]:
    """Letters of other scripts that pass for a Latin one, by it (data/confusables.tsv); small Cherokee as capital."""
    table: dict[int, str] = {}
    for line in (resources.files("screening") / "data" / "confusables.tsv").read_text("utf-8").splitlines():
        letter, mark, others = line.partition("\t")
        if mark and not line.startswith("#"):
            table |= dict.fromkeys(map(ord, others), letter)
    capitals = {code: table.get(ord(chr(code).upper()), "") for code in _CHEROKEE}
    return {code: letter.lower() for code, letter in capitals.items() if letter} | table
