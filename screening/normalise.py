"""The readings of a text: what it says once disguises are taken off, with the way back to the original offsets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class View:
    """One reading: its text, its UTF-8 bytes, and for each character the span of the original that it came from.

    `starts` and `ends` are None when character i is character i of the original.
    """

    text: str
    raw: bytes
    starts: list[int] | None = None
    ends: list[int] | None = None
    name: str = "plain"

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Original character offsets of the bytes [start, end) of this view."""
        if len(self.raw) != len(self.text):
            start, end = len(self.raw[:start].decode()), len(self.raw[:end].decode())
        if self.starts is None or self.ends is None or start >= end:
            return start, end
        return self.starts[start], max(self.ends[start:end])


def plain(text: str) -> View:
    """The base reading of `text`."""
    return View(text, text.encode("utf-8", "replace"))
