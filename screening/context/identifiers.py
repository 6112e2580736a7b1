"""Digits that look like somebody's number and belong to a longer name or number: a UUID, a fraction, an account."""

from __future__ import annotations

from screening.matching.pattern import Pattern

_AROUND = 80
_SHORTEST_FRACTION, _LONGEST_FRACTION = 12, 20
_LONGER = Pattern(
    r"(?i)\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|(?:^|[^\w.])[0-9]{1,3}\.[0-9]{12,20}(?:e[+-]?[0-9]{1,3})?\b"
    r"|\barn:aws[a-z-]{0,12}:[a-z0-9-]{0,40}:[a-z0-9-]{0,20}:[0-9]{12}\b"
)
"""A fraction has at most three digits before its point: groups of a card have four."""


def in_identifier(text: bytes, start: int, end: int) -> bool:
    """Whether the match is a part of such a thing, and not the whole."""
    low = max(0, start - _AROUND)
    around = text[low : end + _AROUND]
    return any(first < start - low < last for first, last in _LONGER.spans(around))


def end_of_fraction(text: bytes, start: int) -> int:
    """Where the digits end that stand behind a decimal point at `start`, if they are too many to be a group; else 0."""
    if text[start - 1 : start] != b"." or not text[start - 2 : start - 1].isdigit():
        return 0
    behind = text[start : start + _LONGEST_FRACTION]
    length = len(behind) - len(behind.lstrip(b"0123456789"))
    return start + length if length >= _SHORTEST_FRACTION else 0
