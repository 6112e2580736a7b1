"""Digits that look like somebody's number and belong to a longer name or number: a UUID, a fraction, an account."""

from __future__ import annotations

from screening.matching.pattern import Pattern

_AROUND = 80
_LONGER = Pattern(
    r"(?i)\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|(?:^|[^\w.])[0-9]{1,3}\.[0-9]{12,20}(?:e[+-]?[0-9]{1,3})?(?:[^\w.]|\.\W|\.?$)"
    r"|\barn:aws[a-z-]{0,12}:[a-z0-9-]{0,40}:[a-z0-9-]{0,20}:[0-9]{12}\b"
)
"""A fraction has at most three digits before its point: groups of a card have four."""


def in_identifier(text: bytes, start: int, end: int) -> bool:
    """Whether the match is a part of such a thing, and not the whole."""
    low = max(0, start - _AROUND)
    around = text[low : end + _AROUND]
    return any(first < start - low < last for first, last in _LONGER.spans(around))
