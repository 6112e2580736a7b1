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
_NUMBER = 3
_COUNTING = [ord(char) for char in ":/%"]
_LISTING = [ord(char) for char in ".)"]
_VOWELS, _CONSONANTS = [ord(char) for char in "034@"], [ord(char) for char in "156789!$+|(<"]
_L_BETWEEN = {
    " ": "iaeouy", "i": " iadeouwy", "a": " iabcefhjkopstuvwy", "b": "iaeouy", "c": "iaeouy", "d": "iey",
    "e": " iacdefhkmopsuvwy", "f": "akouy", "g": "iaeouy", "h": "auwy", "j": "dy", "k": "aeuy", "m": " ey", "n": "iy",
    "o": " iabdefgkmostuvwyz", "p": "iaeouy", "q": " dei", "r": " y", "s": "aeuy", "t": "y", "u": " iabdefgkmoptuwy",
    "w": " aewy", "x": "j", "y": " iaeou", "z": "e",
}  # fmt: skip
"""Before and behind which letters of English an l is likelier than an i; an i here stands for either of the two."""


def _table(letters: dict[str, str]) -> Codes:
    table = np.arange(0x3000, dtype=np.uint32)
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
_IS_DIGIT, _IS_ENDING, _IS_WITHIN = (_table(kind) != np.arange(0x3000) for kind in (_DIGITS, _ENDING, _WITHIN))
_IS_L = _likelier()
_SENTENCE = np.zeros(0x3000, np.bool_)
_SENTENCE[[ord(char) for char in ".!?\n"]] = True


@dataclass(frozen=True, slots=True)
class _Words:
    """The stretches of what can be in a word, as places in a text, and which characters are letters as they stand."""

    codes: Codes
    letter: Flags
    starts: Numbers
    ends: Numbers

    def count(self, flags: Flags) -> Numbers:
        """In each word so many of the characters for which the flag is set."""
        total = np.append(0, np.cumsum(flags))
        return np.asarray(total[self.ends] - total[self.starts])

    def spread(self, chosen: Flags) -> Flags:
        """The characters of the chosen words."""
        change = np.zeros(len(self.codes) + 1, np.int8)
        change[self.starts[chosen]] = 1
        change[self.ends[chosen]] = -1
        return np.asarray(np.cumsum(change[:-1]) > 0)


def unleeted(text: str) -> str:
    """The text in letters, each in the place of what stood for it.

    A number of three digits stays one, unless the other words are mostly leetspeak and it could be a word, too; so does
    a mark that is not within a word. A one is an i or an l by what the text has else, or by its neighbours.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    low = np.minimum(codes, 0x2FFF)
    ending = _IS_ENDING[low] | _unclosed(text, codes)
    letter = (((codes | 0x20) >= ord("a")) & ((codes | 0x20) <= ord("z"))) | ((codes >= 0xC0) & ~_IS_ENDING[low])
    digit = (codes >= ord("0")) & (codes <= ord("9"))
    word = letter | digit | ending
    opening = np.append(True, codes[:-1] <= ord(" "))
    before = np.append(False, (word | _IS_WITHIN[low])[:-1]) | (opening & (codes != ord("(")) & (codes != ord("<")))
    after = np.append(word[1:], False)
    after |= np.append(_IS_WITHIN[low][1:] & after[1:], False)
    beside = np.append(False, (word | _IS_WITHIN[low] | (codes == ord("'")))[:-1]) | after
    alone = (codes == ord("@")) & opening
    meant = _IS_DIGIT[low] | (ending & (beside | alone)) | (_IS_WITHIN[low] & after & before)
    meant |= (codes == ord("2")) & np.append(False, word[:-1]) & np.append(word[1:], False)
    word |= meant
    edges = np.flatnonzero(np.diff(word.astype(np.int8), prepend=np.int8(0), append=np.int8(0)))
    words = _Words(codes, letter, edges[::2], edges[1::2])
    heavy = _is_heavy(words, meant & _IS_DIGIT[low])
    meant &= ~_numbers(words, ending, heavy=heavy)
    if heavy:
        meant |= _exclaimed(codes, word)
    result = np.where(meant, _LETTERS[low], codes)
    ones = meant & (codes == ord("1"))
    if ones.any():
        result[ones & _ells(text, result, ones)] = ord("l")
    capital = meant & _capitals(codes, word)
    result[capital] -= 0x20
    return str(result.astype("<u4").data, "utf-32-le", "replace")


def _unclosed(text: str, codes: Codes) -> Flags:
    """Brackets in a text in which more are opened than closed: they can stand for a letter at the edge of a word."""
    found = np.zeros(len(codes), np.bool_)
    for opening, closing in _BRACKETS.items():
        count = text.count(closing)
        if text.count(opening) > count + (count > 0):
            found |= codes == ord(opening)
    return found


def _is_heavy(words: _Words, digits: Flags) -> bool:
    """Whether of three words and more in which there are letters half have digits for others."""
    lettered = words.count(words.letter) > 0
    return int(lettered.sum()) >= _NUMBER and 2 * int((words.count(digits)[lettered] > 0).sum()) >= int(lettered.sum())


def _numbers(words: _Words, ending: Flags, *, heavy: bool) -> Flags:
    """Which characters are of a word of three and more that has no letter, or of a part of a time, a share or a list.

    Marks within it make it a word all the same, and so do vowels and consonants in a text full of leetspeak.
    """
    codes, starts, ends = words.codes, words.starts, words.ends
    behind, front = np.append(codes, 0)[ends], np.append(0, codes)[starts]
    opens = (front == 0) | (front == ord("\n"))
    counted = np.isin(behind, _COUNTING) | np.isin(front, _COUNTING) | (opens & np.isin(behind, _LISTING))
    inner = (ending | (codes == ord("!"))) & (codes != ord("+"))
    inner[starts[ends > starts]] = False
    inner[ends - 1] = False
    told = words.count(inner | np.isin(codes, [ord("@"), ord("|")])) > 0
    if heavy:
        vowels, others = words.count(np.isin(codes, _VOWELS)), words.count(np.isin(codes, _CONSONANTS))
        round_ = (codes[ends - 1] == ord("0")) & (codes[np.maximum(ends - 2, 0)] == ord("0"))
        told |= (vowels > 0) & (others > 0) & (vowels + others == ends - starts) & ~round_
    plain = words.count(words.letter) == 0
    return words.spread(plain & (counted | ((ends - starts >= _NUMBER) & ~told)))


def _exclaimed(codes: Codes, word: Flags) -> Flags:
    """Exclamation marks that are an I by themselves, or end a word of nothing else but an a."""
    padded = np.concatenate(([32, 32], codes, [32]))
    here, after, before, front = padded[2:-1] == ord("!"), padded[3:], padded[1:-2], padded[:-3]
    alone = (before <= ord(" ")) & (after <= ord(" "))
    inside = np.append(word[1:], False)
    a = np.isin(before, [ord(char) for char in "aA4@"]) & (front <= ord(" ")) & ~inside
    return np.asarray(here & (alone | a))


def _ells(text: str, result: Codes, ones: Flags) -> Flags:
    """Which ones are an l: none or all where the text has hardly another i or l, else by the letters beside them.

    A word of one behind an a is a machine.
    """
    i_stands = text.count("i") + text.count("!")
    l_stands = text.count("l") + text.count("|")
    if l_stands > 0 and 4 * (i_stands - (l_stands > 1)) <= l_stands:
        return np.asarray(np.append(ones[1:], False) | np.append(False, ones[:-1]))
    if i_stands > _NUMBER + 8 * l_stands:
        return np.ones(len(ones), np.bool_)
    lower = result | 0x20
    kinds = np.where((lower >= ord("a")) & (lower <= ord("z")), lower & 0x1F, 0)
    before, after = np.append(0, kinds[:-1]), np.append(kinds[1:], 0)
    machine = (before == 1) & (after == 0) & (np.append([0, 0], kinds[:-2]) == 0)
    return np.asarray(_IS_L[before, after] & ~machine)


def _capitals(codes: Codes, word: Flags) -> Flags:
    """Which letters would be capitals: between or behind capitals, and where a sentence begins."""
    upper = (codes >= ord("A")) & (codes <= ord("Z"))
    lower = (codes >= ord("a")) & (codes <= ord("z"))
    there = np.where(upper | lower | ~word, np.arange(len(codes)), -1)
    last = np.maximum.accumulate(there)
    following = np.where(there < 0, len(codes), there)
    following = np.minimum.accumulate(following[::-1])[::-1]
    behind = (last >= 0) & upper[np.maximum(last, 0)]
    ahead = upper[np.minimum(following, len(codes) - 1)] & (following < len(codes))
    small = lower[np.minimum(following, len(codes) - 1)] & (following < len(codes))
    solid = np.where(codes <= ord(" "), -1, np.arange(len(codes)))
    previous = np.append(-1, np.maximum.accumulate(solid)[:-1])
    opens = np.append(True, ~word[:-1])
    begins = opens & ((previous < 0) | _SENTENCE[np.minimum(codes[np.maximum(previous, 0)], 0x2FFF)])
    return np.asarray(begins | (behind & ~small) | (ahead & ~lower[np.maximum(last, 0)] & ~small))
