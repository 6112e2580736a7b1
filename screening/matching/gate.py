"""Many patterns at once: which of them are in a text at all, in a few passes over it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np
import re2
from numpy.typing import NDArray

from screening.matching.pattern import options
from screening.matching.scripts import apart

Presence = NDArray[np.float32]

_MEMORY = 24 << 20
_SENTINEL = rb"\A"


class Gate:
    """Many cheap patterns in a few passes over the text.

    Each pass is one RE2 set. What counts characters or words is read apart from what does not, because the states of
    one automaton multiply with what its patterns count: on random text almost every byte would need a new one; and
    what never matches ASCII is only looked for in other texts.
    A set answers "nothing" when its memory is spent; a pattern that always matches tells the two apart, and then
    every pattern counts as found (slower, never blind). It matches at the beginning only, because RE2 notes every match
    at every byte.
    """

    def __init__(self, patterns: Iterable[tuple[int, str]], *by_marks: Collection[str]) -> None:
        """Patterns by number; those with a mark of `by_marks` are read in a pass of their own for each collection."""
        native: list[tuple[int, str]] = []
        foreign: list[tuple[int, str]] = []
        for number, pattern in patterns:
            for listed, part in zip((native, foreign), apart(pattern), strict=True):
                if part:
                    listed.append((number, part))
        self._native = [_Pass(numbered) for numbered in _dealt(native, by_marks)]
        self._foreign = [_Pass(foreign)] if foreign else []

    def _passes(self, text: bytes) -> list[_Pass]:
        return self._native if not self._foreign or text.isascii() else self._native + self._foreign

    def presence(self, texts: Sequence[bytes], count: int, *, foreign: bool = False) -> Presence:
        """A row for each text with 1 for the patterns, of so many, that are in it; or only for `foreign` ones."""
        result = np.zeros((len(texts), count + 1), np.float32)
        for one, chosen in self._dealt(texts, foreign=foreign):
            columns, every = np.array([count, *one.numbers]), range(len(one.numbers) + 1)
            match = one.compiled.Match
            found: list[int] = []
            lengths: list[int] = []
            for number in chosen:
                hits = match(texts[number]) or every
                found += hits
                lengths.append(len(hits))
            result[np.repeat(chosen, lengths), columns[found]] = 1
        return result[:, :-1]

    def places(self, texts: Sequence[bytes]) -> dict[int, list[int]]:
        """By pattern the numbers of the texts that it is in."""
        result: dict[int, set[int]] = {}
        for one, chosen in self._dealt(texts):
            match, every = one.compiled.Match, range(len(one.numbers) + 1)
            for number in chosen:
                for index in match(texts[number]) or every:
                    if index:
                        result.setdefault(one.numbers[index - 1], set()).add(number)
        return {number: sorted(places) for number, places in result.items()}

    def _dealt(self, texts: Sequence[bytes], *, foreign: bool = False) -> Iterator[tuple[_Pass, Sequence[int]]]:
        """Pass by pass, so that each automaton stays in the processor's cache, the texts to read in it."""
        for one in () if foreign else self._native:
            yield one, range(len(texts))
        others = [number for number, text in enumerate(texts) if not text.isascii()] if self._foreign else ()
        for one in self._foreign if others else ():
            yield one, others

    def hits(self, text: bytes) -> list[int]:
        """The numbers of the patterns that are somewhere in `text`, in no order."""
        result: list[int] = []
        passes = self._passes(text)
        for one in passes:
            found = one.compiled.Match(text)
            if not found:
                result += one.numbers
            elif len(found) > 1:
                numbers = one.numbers
                result += [numbers[index - 1] for index in found if index]
        return result if passes is self._native else list(dict.fromkeys(result))


class _Pass:
    """The patterns that are read at once, with their numbers."""

    __slots__ = ("compiled", "numbers")

    def __init__(self, numbered: Iterable[tuple[int, str]]) -> None:
        self.numbers: list[int] = []
        self.compiled = re2.Set.SearchSet(options(_MEMORY))
        self.compiled.Add(_SENTINEL)
        for number, pattern in numbered:
            self.numbers.append(number)
            self.compiled.Add(pattern.encode())
        self.compiled.Compile()


def _dealt(patterns: list[tuple[int, str]], by_marks: Sequence[Collection[str]]) -> list[list[tuple[int, str]]]:
    """The patterns by pass: the first whose marks they have, else the last."""
    passes: list[list[tuple[int, str]]] = [[] for _ in range(len(by_marks) + 1)]
    for number, pattern in patterns:
        found = (i for i, marks in enumerate(by_marks) if any(mark in pattern for mark in marks))
        passes[next(found, len(by_marks))].append((number, pattern))
    return [chosen for chosen in passes if chosen]
