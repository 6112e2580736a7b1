"""Hashed n-grams of characters and words, all at once: one rolling hash over the text gives every n-gram's bucket.

The hash of the characters i..j is (P[j] - P[i]) * B^-i modulo 2^64, with P the prefix sums of c[k] * B^k; B is odd,
so its powers have inverses and no loop runs over the text.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

BITS = 16
CHARS = (3, 4, 5)
MAX_CHARS = 1 << 17
_BASE = 0x9E3779B97F4A7C15
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(64 - BITS)
_WORD_SALT = np.uint64(0x94D049BB133111EB)
_SECOND = np.uint64(0xD6E8FEB86659FD93)
_THIRD = np.uint64(0xA0761D6478BD642F)


def _powers(base: int) -> Hashes:
    """B^0 .. B^MAX_CHARS modulo 2^64, by doubling."""
    result = np.ones(1, np.uint64)
    while len(result) <= MAX_CHARS:
        factor = np.uint64(pow(base, len(result), 1 << 64))
        result = np.concatenate((result, result * factor))
    return result[: MAX_CHARS + 1]


_POWERS = _powers(_BASE)
_INVERSES = _powers(pow(_BASE, -1, 1 << 64))
_CLASS = np.zeros(0x3000, np.bool_)
for _code in range(0x3000):
    _CLASS[_code] = chr(_code).isalnum()
_FOLD = np.arange(128, dtype=np.uint32)
_FOLD[ord("0") : ord("9") + 1] = ord("0")
for _code in (9, 10, 11, 12, 13):
    _FOLD[_code] = 32


class Grams:
    """The buckets of one text's n-grams: of 3, 4 and 5 characters; of 1, 2 and 3 words, and of 2 around a third."""

    __slots__ = ("char_count", "chars", "word_count", "words")

    def __init__(self, text: str) -> None:
        codes = _codes(text)
        prefix = np.zeros(len(codes) + 1, np.uint64)
        np.cumsum(codes * _POWERS[: len(codes)], out=prefix[1:])
        self.chars = [_grams(prefix, size) for size in CHARS]
        self.words = _words(codes, prefix)
        self.char_count = sum(map(len, self.chars))
        self.word_count = sum(map(len, self.words))


def _codes(text: str) -> Hashes:
    """Lower-case code points, digits as 0, white space as single spaces, a space at either end."""
    lowered = text.lower()
    if lowered.isascii():
        codes = _FOLD[np.frombuffer(lowered.encode(), np.uint8)]
    else:
        codes = np.frombuffer(lowered.encode("utf-32-le", "replace"), np.uint32)
        low = codes < 128
        codes = np.where(low, _FOLD[np.where(low, codes, 0)], codes)
    result = np.full(len(codes) + 2, 32, np.uint64)
    result[1:-1] = codes
    blank = result == 32
    double = blank[1:] & blank[:-1]
    if double.any():
        result = result[np.concatenate(((True,), ~double))]
    return result[:MAX_CHARS]


def _grams(prefix: Hashes, size: int) -> Hashes:
    count = len(prefix) - size
    if count <= 0:
        return np.zeros(0, np.uint64)
    raw = (prefix[size:] - prefix[:-size]) * _INVERSES[:count]
    return ((raw ^ (raw >> np.uint64(29))) * _MIX) >> _SHIFT


def _words(codes: Hashes, prefix: Hashes) -> list[Hashes]:
    inside = _CLASS[np.minimum(codes, 0x2FFF).astype(np.int64)] | (codes >= 0x3000)
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    starts, ends = edges[::2], edges[1::2]
    starts = starts[: len(ends)]
    raw = (prefix[ends] - prefix[starts]) * _INVERSES[starts] ^ _WORD_SALT
    raw = (raw ^ (raw >> np.uint64(31))) * _MIX
    pairs = raw[:-1] * _SECOND + raw[1:]
    triples = pairs[:-1] * _THIRD + raw[2:] if len(raw) > 2 else raw[:0]
    skips = raw[:-2] * _THIRD + raw[2:] if len(raw) > 2 else raw[:0]
    return [h * _MIX >> _SHIFT for h in (raw, pairs, triples, skips)]
