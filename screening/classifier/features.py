"""Hashed n-grams of characters and words, all at once: one rolling hash over the text gives every n-gram's bucket.

The hash of the characters i..j is (P[j] - P[i]) * B^-i modulo 2^64, with P the prefix sums of c[k] * B^k; B is odd,
so its powers have inverses and no loop runs over the text.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Buckets = NDArray[np.int64]
Flags = NDArray[np.bool_]

BITS = 16
CHARS = (3, 4, 5)
MAX_CHARS = 1 << 17
_BASE = 0x9E3779B97F4A7C15
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(64 - BITS)
_CHAR_MIX, _WORD_MIX = np.uint64(29), np.uint64(31)
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
_BLANKS = (9, 10, 11, 12, 13)
_FOLD = np.arange(128, dtype=np.uint32)
_FOLD[ord("0") : ord("9") + 1] = ord("0")
for _code in _BLANKS:
    _FOLD[_code] = 32
_FOLD_BYTES = bytes(int(_FOLD[ord(chr(_code).lower())]) for _code in range(128)) + bytes(range(128, 256))
_CLASS_BYTES = bytes(_CLASS[:128].tolist()) + bytes(128)


class Grams:
    """The buckets of one text's n-grams: of 3, 4 and 5 characters; of 1, 2 and 3 words, and of 2 around a third."""

    __slots__ = ("chars", "words")

    def __init__(self, text: str) -> None:
        codes, inside = _codes(text)
        prefix = np.zeros(len(codes) + 1, np.uint64)
        sums = prefix[1:]
        np.multiply(codes, _POWERS[: len(codes)], out=sums)
        np.cumsum(sums, out=sums)
        self.chars: Buckets = _chars(prefix).view(np.int64)
        self.words: Buckets = _words(prefix, inside).view(np.int64)


def _codes(text: str) -> tuple[Hashes, Flags]:
    """Lower-case code points, digits as 0, white space as single spaces, a space at either end; which are in words."""
    if text.isascii():
        data = text.encode().translate(_FOLD_BYTES)
        data = (b" " + b" ".join(data.split()) + b" " if data.strip(b" ") else b" ")[:MAX_CHARS]
        inside = np.frombuffer(data.translate(_CLASS_BYTES), np.bool_)
        return np.frombuffer(data, np.uint8).astype(np.uint64), inside
    codes = np.frombuffer(text.lower().encode("utf-32-le", "replace"), np.uint32)
    low = codes < 128
    result = np.full(len(codes) + 2, 32, np.uint64)
    result[1:-1] = np.where(low, _FOLD[np.where(low, codes, 0)], codes)
    blank = result == 32
    double = blank[1:] & blank[:-1]
    if double.any():
        result = result[np.concatenate(((True,), ~double))]
    result = result[:MAX_CHARS]
    return result, _CLASS[np.minimum(result, 0x2FFF).astype(np.int64)] | (result >= 0x3000)


def _chars(prefix: Hashes) -> Hashes:
    counts = [max(0, len(prefix) - size) for size in CHARS]
    raw = np.empty(sum(counts), np.uint64)
    at = 0
    for size, count in zip(CHARS, counts, strict=True):
        part = raw[at : at + count]
        np.subtract(prefix[size:], prefix[:count], out=part)
        part *= _INVERSES[:count]
        at += count
    raw ^= raw >> _CHAR_MIX
    raw *= _MIX
    raw >>= _SHIFT
    return raw


def _words(prefix: Hashes, inside: Flags) -> Hashes:
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    edges += 1
    starts, ends = edges[::2], edges[1::2]
    count = len(ends)
    starts = starts[:count]
    result = np.empty(count + max(0, count - 1) + 2 * max(0, count - 2), np.uint64)
    raw = result[:count]
    np.subtract(prefix[ends], prefix[starts], out=raw)
    raw *= _INVERSES[starts]
    raw ^= _WORD_SALT
    raw ^= raw >> _WORD_MIX
    raw *= _MIX
    if count > 1:
        pairs = result[count : 2 * count - 1]
        np.multiply(raw[:-1], _SECOND, out=pairs)
        pairs += raw[1:]
    if count > 2:
        triples, skips = result[2 * count - 1 : 3 * count - 3], result[3 * count - 3 :]
        np.multiply(pairs[:-1], _THIRD, out=triples)
        np.multiply(raw[:-2], _THIRD, out=skips)
        triples += raw[2:]
        skips += raw[2:]
    result *= _MIX
    result >>= _SHIFT
    return result
