"""Leetspeak read as it is meant: digits and marks within words as the letters that they stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint32]
Flags = NDArray[np.bool_]
Numbers = NDArray[np.int64]

_DIGITS = {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t", "8": "b", "9": "g"}
_ENDING = {"@": "a", "$": "s", "+": "t", "|": "l", "\u20ac": "e"}
_BETWEEN = {"2": "z"}
_WITHIN = {"!": "i", "(": "c", "<": "c", "\xa3": "l", "\xa1": "i", "\xa2": "c"}
_BRACKETS = {"(": ")", "<": ">"}
_NUMBER, _CODES = 3, 0x3000
_L_BETWEEN = {
    " ": "iaeouy", "i": " iadeouwy", "a": " iabcefhjkopstuvwy", "b": "iaeouy", "c": "iaeouy", "d": "iey",
    "e": " iacdefhkmopsuvwy", "f": "akouy", "g": "iaeouy", "h": "auwy", "j": "dy", "k": "aeuy", "m": " ey", "n": "iy",
    "o": " iabdefgkmostuvwyz", "p": "iaeouy", "q": " dei", "r": " y", "s": "aeuy", "t": "y", "u": " iabdefgkmoptuwy",
    "w": " aewy", "x": "j", "y": " iaeou", "z": "e",
}  # fmt: skip
"""Before and behind which letters of English an l is likelier than an i; an i here stands for either of the two."""


def _table(letters: dict[str, str]) -> Codes:
    table = np.arange(_CODES, dtype=np.uint32)
    table[[ord(char) for char in letters]] = [ord(letter) for letter in letters.values()]
    return table


def _likelier() -> Flags:
    """For the codes of two letters less 0x60 (0 for what is none): whether an l is likelier between them than an i."""
    table = np.zeros((27, 27), np.bool_)
    for before, after in _L_BETWEEN.items():
        table[ord(before) & 0x1F, [ord(char) & 0x1F for char in after]] = True
    i, ell = ord("i") & 0x1F, ord("l") & 0x1F
    table[ell] = table[i]
    table[:, ell] = table[:, i]
    return table


_LETTERS = _table(_DIGITS | _ENDING | _WITHIN | _BETWEEN)
_IS_L = _likelier()
_LETTER, _DIGIT, _STANDS, _EDGE, _INNER, _VOWEL, _CONSONANT, _COUNTS, _LISTS, _TELLS = (1 << bit for bit in range(10))


def _kinds() -> NDArray[np.uint16]:
    """What each code can be, as bits; beyond the table all are letters."""
    table = np.zeros(_CODES, np.uint16)
    table[0xC0:] = _LETTER
    table[[*range(ord("a"), ord("z") + 1), *range(ord("A"), ord("Z") + 1)]] = _LETTER
    table[[ord(char) for char in _ENDING | _WITHIN]] = 0
    for bits, chars in (
        (_DIGIT, "0123456789"), (_STANDS, "".join(_DIGITS)), (_EDGE, "".join(_ENDING)), (_INNER, "".join(_WITHIN)),
        (_VOWEL, "034@"), (_CONSONANT, "156789!$+|(<"), (_COUNTS, ":/%"), (_LISTS, ".)"), (_TELLS, "@|"),
    ):  # fmt: skip
        table[[ord(char) for char in chars]] |= bits
    return table


_KINDS = _kinds()
_SENTENCE = np.zeros(_CODES, np.bool_)
_SENTENCE[[ord(char) for char in ".!?\n"]] = True


@dataclass(frozen=True, slots=True)
class _Words:
    """The stretches of what can be in a word, as places in a text."""

    starts: Numbers
    ends: Numbers
    length: int

    @classmethod
    def of(cls, word: Flags) -> _Words:
        edges = np.flatnonzero(np.diff(word.view(np.int8), prepend=np.int8(0), append=np.int8(0)))
        return cls(edges[::2], edges[1::2], len(word))

    def count(self, flags: Flags) -> Numbers:
        """In each word so many of the characters for which the flag is set."""
        places = np.flatnonzero(flags)
        found: Numbers = np.searchsorted(places, self.ends) - np.searchsorted(places, self.starts)
        return found

    def spread(self, chosen: Flags) -> Flags:
        """The characters of the chosen words."""
        change = np.zeros(self.length + 1, np.int8)
        change[self.starts[chosen]] = 1
        change[self.ends[chosen]] = -1
        return np.cumsum(change[:-1], dtype=np.int8).view(np.bool_)


def unleeted(text: str) -> str:
    """The text in letters, each in the place of what stood for it.

    A number of three digits stays one, unless the other words are mostly leetspeak and it could be a word, too; so does
    a mark that is not within a word. A one is an i or an l by what the text has else, or by its neighbours.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    low = np.minimum(codes, _CODES - 1)
    kinds = _KINDS[low]
    for opening, closing in _BRACKETS.items():
        if _is_unclosed(text, opening, closing):
            kinds[codes == ord(opening)] |= _EDGE
    word, meant = _within_words(codes, kinds)
    words = _Words.of(word)
    lettered = words.count(kinds & _LETTER != 0) > 0
    heavy = _is_heavy(words, meant & (kinds & _STANDS != 0), lettered)
    meant &= ~words.spread(_numbers(words, codes, kinds, heavy=heavy) & ~lettered)
    if heavy and "!" in text:
        meant |= _exclaimed(codes, word)
    result = np.where(meant, _LETTERS[low], codes)
    ones = np.flatnonzero(meant & (codes == ord("1")))
    if len(ones):
        result[ones[_ells(text, result, ones)]] = ord("l")
    capital = meant & _capitals(codes, word)
    result[capital] -= 0x20
    return str(result.astype("<u4").data, "utf-32-le", "replace")


def _is_unclosed(text: str, opening: str, closing: str) -> bool:
    """Whether more brackets are opened than closed: then they can stand for a letter at the edge of a word."""
    count = text.count(opening)
    return count > 0 and count > (closed := text.count(closing)) + (closed > 0)


def _within_words(codes: Codes, kinds: NDArray[np.uint16]) -> tuple[Flags, Flags]:
    """What is in words, and what of it stands for a letter."""
    edge, inner = kinds & _EDGE != 0, kinds & _INNER != 0
    word = kinds & (_LETTER | _DIGIT | _EDGE) != 0
    blank = codes <= ord(" ")
    opening = _behind(blank, first=True)
    both = word | inner
    before = _behind(both) | (opening & (codes != ord("(")) & (codes != ord("<")))
    after = _ahead(word)
    after[:-1] |= inner[1:] & after[1:]
    beside = _behind(both | (codes == ord("'"))) | after
    meant = (kinds & _STANDS != 0) | (edge & (beside | (opening & (codes == ord("@"))))) | (inner & after & before)
    meant |= (codes == ord("2")) & _behind(word) & _ahead(word)
    word |= meant
    return word, meant


def _is_heavy(words: _Words, digits: Flags, lettered: Flags) -> bool:
    """Whether of three words and more in which there are letters half have digits for others."""
    number = int(np.count_nonzero(lettered))
    return number >= _NUMBER and 2 * int(np.count_nonzero(words.count(digits)[lettered])) >= number


def _numbers(words: _Words, codes: Codes, kinds: NDArray[np.uint16], *, heavy: bool) -> Flags:
    """Which words are, if they have no letter, a number of three digits, or a part of a time, a share or a list.

    Marks within it make it a word all the same, and so do vowels and consonants in a text full of leetspeak.
    """
    starts, ends = words.starts, words.ends
    behind, front = np.append(kinds, np.uint16(0))[ends], np.append(np.uint16(0), kinds)[starts]
    opens = np.append(np.uint32(0), codes)[starts]
    opens = (opens == 0) | (opens == ord("\n"))
    counted = ((behind | front) & _COUNTS != 0) | (opens & (behind & _LISTS != 0))
    inner = (kinds & _EDGE != 0) | (codes == ord("!"))
    inner &= codes != ord("+")
    inner[starts] = False
    inner[ends - 1] = False
    told = words.count(inner | (kinds & _TELLS != 0)) > 0
    if heavy:
        vowels, others = words.count(kinds & _VOWEL != 0), words.count(kinds & _CONSONANT != 0)
        round_ = (codes[ends - 1] == ord("0")) & (codes[np.maximum(ends - 2, 0)] == ord("0"))
        told |= (vowels > 0) & (others > 0) & (vowels + others == ends - starts) & ~round_
    return np.asarray(counted | ((ends - starts >= _NUMBER) & ~told))


def _exclaimed(codes: Codes, word: Flags) -> Flags:
    """Exclamation marks that are an I by themselves, or end a word of nothing else but an a."""
    padded = np.concatenate(([32, 32], codes, [32]))
    here, after, before, front = padded[2:-1] == ord("!"), padded[3:], padded[1:-2], padded[:-3]
    alone = (before <= ord(" ")) & (after <= ord(" "))
    a = (before | 0x20 == ord("a")) | (before == ord("4")) | (before == ord("@"))
    return np.asarray(here & (alone | (a & (front <= ord(" ")) & ~_ahead(word))))


def _ells(text: str, result: Codes, ones: Numbers) -> Flags:
    """Which ones are an l: none or all where the text has hardly another i or l, else by the letters beside them.

    A word of one behind an a is a machine.
    """
    i_stands = text.count("i") + text.count("!")
    l_stands = text.count("l") + text.count("|")
    if l_stands > 0 and 4 * (i_stands - (l_stands > 1)) <= l_stands:
        close = np.diff(ones) == 1
        return np.asarray(np.append(False, close) | np.append(close, False))
    if i_stands > _NUMBER + 8 * l_stands:
        return np.ones(len(ones), np.bool_)
    beside = np.concatenate(([32, 32], result, [32]))
    far, before, after = (_letter_number(beside[ones + step]) for step in (0, 1, 3))
    return np.asarray(_IS_L[before, after] & ~((before == 1) & (after == 0) & (far == 0)))


def _letter_number(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """1 for an a, in any case, to 26 for a z, and 0 for anything else."""
    lower = codes | 0x20
    return np.where((lower >= ord("a")) & (lower <= ord("z")), lower & 0x1F, 0)


def _behind(flags: Flags, *, first: bool = False) -> Flags:
    """For each place whether the flag of the one before it is set."""
    moved = np.empty_like(flags)
    moved[:1], moved[1:] = first, flags[:-1]
    return moved


def _ahead(flags: Flags) -> Flags:
    """For each place whether the flag of the one after it is set."""
    moved = np.empty_like(flags)
    moved[-1:], moved[:-1] = False, flags[1:]
    return moved


def _capitals(codes: Codes, word: Flags) -> Flags:
    """Which letters would be capitals: between or behind capitals, and where a sentence begins."""
    upper = (codes >= ord("A")) & (codes <= ord("Z"))
    lower = (codes >= ord("a")) & (codes <= ord("z"))
    every, length = np.arange(len(codes)), len(codes)
    known = upper | lower | ~word
    last = np.maximum.accumulate(np.where(known, every, -1))
    following = np.minimum.accumulate(np.where(known, every, length)[::-1])[::-1]
    there, next_ = following < length, np.minimum(following, length - 1)
    behind = (last >= 0) & upper[np.maximum(last, 0)]
    ahead, small = upper[next_] & there, lower[next_] & there
    solid = np.where(codes <= ord(" "), -1, every)
    previous = np.append(-1, np.maximum.accumulate(solid)[:-1])
    opens = ~_behind(word)
    begins = opens & ((previous < 0) | _SENTENCE[np.minimum(codes[np.maximum(previous, 0)], 0x2FFF)])
    return np.asarray(begins | (behind & ~small) | (ahead & ~lower[np.maximum(last, 0)] & ~small))
