"""Find candidates in linear time: one re2.Set says which rules can match at all, then only those are run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import re2
from numpy.typing import NDArray

from screening.rules import Rule

_PATTERN_MEMORY, _SET_MEMORY = 4 << 20, 24 << 20
_SENTINEL = rb"\A"
_CHUNK, _MARGIN, _VERY_LONG = 2048, 400, 500_000
_SHARED = 3
_RUNS, _COUNTING = ("]{12}", "]{16}", "]{17}", "]{22}", "[01]{8}", "0x["), ("]{", "\\d")


def _options(memory: int) -> re2.Options:
    """RE2 keeps at most `memory` bytes of automaton states per expression; beyond, it starts over."""
    options = re2.Options()
    options.max_mem = memory
    options.log_errors = False
    return options


class Pattern:
    """One compiled RE2 expression over UTF-8 bytes."""

    __slots__ = ("_search",)

    def __init__(self, pattern: str) -> None:
        self._search = re2.compile(pattern.encode(), _options(_PATTERN_MEMORY))

    def spans(self, text: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        """Byte offsets of every match, left to right, without overlap."""
        for match in self._search.finditer(text, start, len(text) if end is None else end):
            yield match.span()

    def found(self, text: bytes, start: int = 0, end: int | None = None) -> bool:
        """Whether it matches anywhere between the offsets."""
        return self._search.search(text, start, len(text) if end is None else end) is not None


class Gate:
    """Many cheap patterns in a few passes over the text.

    Each pass is one RE2 set. What counts characters or words is read apart from what does not, because the states of
    one automaton multiply with what its patterns count: on random text almost every byte would need a new one.
    A set answers "nothing" when its memory is spent; a pattern that always matches tells the two apart, and then
    every pattern counts as found (slower, never blind). It matches at the beginning only, because RE2 notes every match
    at every byte.
    """

    def __init__(self, patterns: Iterable[str], *apart: Collection[str]) -> None:
        """For each collection of marks in `apart` the patterns with one of them are read in a pass of their own."""
        listed = list(patterns)
        self._count = len(listed)
        self._sets: list[tuple[re2.Set, list[int]]] = []
        for numbers in filter(None, _dealt(listed, apart)):
            compiled = re2.Set.SearchSet(_options(_SET_MEMORY))
            compiled.Add(_SENTINEL)
            for number in numbers:
                compiled.Add(listed[number].encode())
            compiled.Compile()
            self._sets.append((compiled, numbers))

    def presence(self, texts: Sequence[bytes]) -> NDArray[np.float32]:
        """A row for each text with 1 for the patterns that are in it."""
        result = np.zeros((len(texts), self._count + 1), np.float32)
        for compiled, numbers in self._sets:
            columns, every = np.array([self._count, *numbers]), range(len(numbers) + 1)
            found: list[int] = []
            lengths: list[int] = []
            for text in texts:
                hits = compiled.Match(text) or every
                found += hits
                lengths.append(len(hits))
            result[np.repeat(np.arange(len(texts)), lengths), columns[found]] = 1
        return result[:, :-1]

    def places(self, texts: Sequence[bytes]) -> dict[int, list[int]]:
        """By pattern the numbers of the texts that it is in; each automaton stays in the processor's cache."""
        result: dict[int, list[int]] = {}
        for compiled, numbers in self._sets:
            every = range(len(numbers) + 1)
            for number, text in enumerate(texts):
                for index in compiled.Match(text) or every:
                    if index:
                        result.setdefault(numbers[index - 1], []).append(number)
        return result

    def hits(self, text: bytes) -> list[int]:
        """Indices (in the order given) of the patterns that are somewhere in `text`, in no order."""
        result: list[int] = []
        for compiled, numbers in self._sets:
            found = compiled.Match(text)
            if not found:
                result += numbers
            elif len(found) > 1:
                result += [numbers[index - 1] for index in found if index]
        return result


def _dealt(patterns: list[str], apart: Sequence[Collection[str]]) -> list[list[int]]:
    """Numbers of the patterns by pass: the first whose marks they have, else the last."""
    passes: list[list[int]] = [[] for _ in range(len(apart) + 1)]
    for number, pattern in enumerate(patterns):
        place = next((i for i, marks in enumerate(apart) if any(mark in pattern for mark in marks)), len(apart))
        passes[place].append(number)
    return passes


def gates_of(rule: Rule) -> list[str]:
    """One or two cheap patterns that are somewhere near, wherever the rule can match."""
    if rule.cue and rule.cue_required:
        return [gate for gate in (rule.cue, rule.also or rule.gate) if gate]
    return [gate for gate in (rule.gate or rule.pattern, rule.also) if gate]


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its expressions ready to run."""

    rule: Rule
    pattern: Pattern
    cue: Pattern | None
    not_cue: Pattern | None

    @classmethod
    def of(cls, rule: Rule) -> CompiledRule:
        """Compile one rule; raises re2.error for a pattern RE2 refuses."""
        return cls(
            rule,
            Pattern(rule.pattern),
            Pattern(rule.cue) if rule.cue else None,
            Pattern(rule.not_cue) if rule.not_cue else None,
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule that can match, and the byte ranges of the text in which it can."""

    compiled: CompiledRule
    ranges: Ranges

    def spans(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Byte offsets of the rule's matches, left to right; one that goes on past its range is followed."""
        pattern = self.compiled.pattern
        done = 0
        for first, last in self.ranges:
            for start, end in pattern.spans(text, max(first, done), last):
                whole = next(pattern.spans(text, start), (start, end)) if end == last < len(text) else (start, end)
                yield whole
                done = whole[1]


Gated = tuple[CompiledRule, int | None]
"""A rule, and the number of its second gate."""
Ranges = tuple[tuple[int, int], ...]


class Matcher:
    """All rules and the extra gates of normalisation behind three `re2.Set`s.

    Rules are of kinds (a number of each, by `kind_of`), and `candidates` gives those of the kinds asked for.
    """

    def __init__(self, rules: Iterable[Rule], kind_of: Callable[[Rule], int], extra: Iterable[str] = ()) -> None:
        self._rules: dict[tuple[int, int], list[Gated]] = {}
        gates: dict[str, int] = {}
        for name in extra:
            gates[name] = len(gates)
        self.extra = len(gates)
        for rule in rules:
            index, *also = [gates.setdefault(gate, len(gates)) for gate in gates_of(rule)]
            gated = (CompiledRule.of(rule), also[0] if also else None)
            self._rules.setdefault((kind_of(rule), index), []).append(gated)
        self._gate = Gate(gates, _RUNS, _COUNTING)
        self._exact = {
            key: Gate(rule.rule.pattern for rule, _ in shared)
            for key, shared in self._rules.items()
            if len(shared) >= _SHARED
        }

    def candidates(self, text: bytes, *kinds: int) -> tuple[list[Candidate], set[int]]:
        """The rules of these kinds worth running on `text` and where, and which of the extra gates were hit."""
        if len(text) <= 2 * _CHUNK:
            found = self._gate.hits(text)
            rules = [rule for kind in kinds for rule in self._in_short(text, found, kind)]
            return rules, {index for index in found if index < self.extra}
        size = _CHUNK if len(text) < _VERY_LONG else 4 * _CHUNK
        parts = [
            (max(0, start - _MARGIN), min(len(text), start + size + _MARGIN)) for start in range(0, len(text), size)
        ]
        hits = self._gate.places([text[first:last] for first, last in parts])
        rules = [rule for kind in kinds for rule in self._worth_running(text, hits, parts, kind)]
        return rules, {index for index in hits if index < self.extra}

    def _in_short(self, text: bytes, hits: list[int], kind: int) -> Iterator[Candidate]:
        """Where many rules share the gate that was hit, one more pass says which of them match."""
        whole = ((0, len(text)),)
        for index in hits:
            for rule, also in self._matching(text, (kind, index), whole):
                if also is None or also in hits:
                    yield Candidate(rule, whole)

    def _matching(self, text: bytes, key: tuple[int, int], ranges: Ranges) -> Iterable[Gated]:
        """The rules behind a gate, without those that certainly match nowhere in these ranges."""
        rules = self._rules.get(key, ())
        if key not in self._exact:
            return rules
        gate = self._exact[key]
        found = {number for first, last in ranges for number in gate.hits(text[first:last])}
        return [rules[number] for number in found]

    def _worth_running(
        self, text: bytes, hits: dict[int, list[int]], parts: list[tuple[int, int]], kind: int
    ) -> Iterator[Candidate]:
        """Rule by rule the parts in which its gates were hit; neighbours are joined."""
        for index, numbers in hits.items():
            if (kind, index) not in self._rules:
                continue
            joined = _joined(numbers, parts)
            for rule, also in self._matching(text, (kind, index), joined):
                if also is None:
                    yield Candidate(rule, joined)
                elif both := sorted(set(numbers) & set(hits.get(also, ()))):
                    yield Candidate(rule, _joined(both, parts))


def _joined(numbers: list[int], parts: list[tuple[int, int]]) -> Ranges:
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        first, last = parts[number]
        if ranges and first <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], last)
        else:
            ranges.append((first, last))
    return tuple(ranges)
