"""One expression of RE2, which takes linear time whatever the text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import re2

_MEMORY = 4 << 20


def options(memory: int) -> re2.Options:
    """RE2 keeps at most `memory` bytes of automaton states per expression; beyond, it starts over."""
    options = re2.Options()
    options.max_mem = memory
    options.log_errors = False
    return options


class Pattern:
    """One compiled RE2 expression over UTF-8 bytes."""

    __slots__ = ("_search",)

    def __init__(self, pattern: str) -> None:
        self._search = re2.compile(pattern.encode(), options(_MEMORY))

    def spans(self, text: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        """Byte offsets of every match, left to right, without overlap."""
        for match in self._search.finditer(text, start, len(text) if end is None else end):
            yield match.span()

    def found(self, text: bytes, start: int = 0, end: int | None = None) -> bool:
        """Whether it matches anywhere between the offsets; its `$` is the end of `text`, never of the search."""
        return self._search.search(text, start, len(text) if end is None else end) is not None


class Patterns:
    """Several expressions of RE2 by name, read in one pass over a short text."""

    __slots__ = ("_names", "_set")

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._names = ["", *patterns]
        self._set = re2.Set.SearchSet(options(_MEMORY))
        for pattern in (r"\A", *patterns.values()):
            self._set.Add(pattern.encode())
        self._set.Compile()

    def found(self, text: bytes) -> frozenset[str] | None:
        """The names of those that match somewhere; None when there was not memory enough to say.

        The text is all there is: a pattern's `$` is its end.
        """
        hits = self._set.Match(text)
        return frozenset(self._names[index] for index in hits) if hits else None
