"""Leetspeak read as it is meant: digits and marks within words as the letters that they stand for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint32]
Flags = NDArray[np.bool_]

_DIGITS = {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t", "8": "b", "9": "g"}
_ENDING = {"@": "a", "$": "s", "+": "t", "|": "l", "\u20ac": "e"}
_WITHIN = {"!": "i", "(": "c", "<": "c", "\xa3": "l", "\xa1": "i", "\xa2": "c"}
_NUMBER = 3
_COUNTING = [ord(char) for char in ":/%"]
_LISTING = [ord(char) for char in ":/%.)"]


def _table(letters: dict[str, str]) -> Codes:
    table = np.arange(0x3000, dtype=np.uint32)
    table[[ord(char) for char in letters]] = [ord(letter) for letter in letters.values()]
    return table


_LETTERS = _table(_DIGITS | _ENDING | _WITHIN)
_IS_DIGIT, _IS_ENDING, _IS_WITHIN = (_table(kind) != np.arange(0x3000) for kind in (_DIGITS, _ENDING, _WITHIN))
_SENTENCE = np.zeros(0x3000, np.bool_)
_SENTENCE[[ord(char) for char in ".!?\n"]] = True


def unleeted(text: str) -> str:
    """The text in letters, each in the place of what stood for it.

    A number of three digits stays one, as does a mark that is not within a word. A one is an l where there are many i
    and hardly an l.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    low = np.minimum(codes, 0x2FFF)
    letter = (((codes | 0x20) >= ord("a")) & ((codes | 0x20) <= ord("z"))) | ((codes >= 0xC0) & ~_IS_ENDING[low])
    digit = (codes >= ord("0")) & (codes <= ord("9"))
    word = letter | digit | _IS_ENDING[low]
    opening = np.append(True, codes[:-1] <= ord(" "))
    before = np.append(False, (word | _IS_WITHIN[low])[:-1]) | (opening & (codes != ord("(")) & (codes != ord("<")))
    after = np.append(word[1:], False)
    after |= np.append(_IS_WITHIN[low][1:] & after[1:], False)
    beside = np.append(False, (word | _IS_WITHIN[low] | (codes == ord("'")))[:-1]) | after
    alone = (codes == ord("@")) & opening
    meant = _IS_DIGIT[low] | (_IS_ENDING[low] & (beside | alone)) | (_IS_WITHIN[low] & after & before)
    word |= meant
    meant &= ~_numbers(codes, word, letter)
    result = np.where(meant, _LETTERS[low], codes)
    ones = meant & (codes == ord("1"))
    twice = ones & (np.append(ones[1:], False) | np.append(False, ones[:-1]))
    i_stands = text.count("i") + np.count_nonzero(meant & (codes == ord("!")))
    result[ones if i_stands > 3 + 8 * text.count("l") else twice] = ord("l")
    capital = meant & _capitals(codes, word)
    result[capital] -= 0x20
    return str(result.astype("<u4").data, "utf-32-le", "replace")


def _numbers(codes: Codes, word: Flags, letter: Flags) -> Flags:
    """Which characters are of a word of three and more that has no letter, or of a part of a time or a share."""
    edges = np.flatnonzero(np.diff(word.astype(np.int8), prepend=np.int8(0), append=np.int8(0)))
    starts, ends = edges[::2], edges[1::2]
    total = np.append(0, np.cumsum(letter))
    beside = np.isin(np.append(codes, 0)[ends], _LISTING) | np.isin(np.append(0, codes)[starts], _COUNTING)
    numbers = (total[ends] == total[starts]) & ((ends - starts >= _NUMBER) | beside)
    change = np.zeros(len(word) + 1, np.int8)
    change[starts[numbers]] = 1
    change[ends[numbers]] = -1
    return np.asarray(np.cumsum(change[:-1]) > 0)


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
