"""Find candidates in linear time: one re2.Set says which rules can match at all, then only those are run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import re2

from screening.rules import Rule

_PATTERN_MEMORY, _SET_MEMORY = 4 << 20, 24 << 20
_SENTINEL = rb""
_CHUNK, _MARGIN = 2048, 400
_SHARED = 3


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

    Each pass is one RE2 set. Patterns are dealt out to several sets because the states of one automaton multiply
    with what its patterns count, and on random text almost every byte would then need a state not seen before.
    A set answers "nothing" when its memory is spent; a pattern that always matches tells the two apart, and then
    every pattern counts as found (slower, never blind).
    """

    def __init__(self, patterns: Iterable[str], passes: int = 4) -> None:
        listed = list(patterns)
        self._sets: list[tuple[re2.Set, list[int]]] = []
        for first in range(passes):
            numbers = list(range(first, len(listed), passes))
            compiled = re2.Set.SearchSet(_options(_SET_MEMORY))
            compiled.Add(_SENTINEL)
            for number in numbers:
                compiled.Add(listed[number].encode())
            compiled.Compile()
            self._sets.append((compiled, numbers))

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
    ranges: tuple[tuple[int, int], ...]

    def spans(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Byte offsets of the rule's matches, left to right; one that goes on past its range is followed."""
        pattern = self.compiled.pattern
        done = 0
        for first, last in self.ranges:
            for start, end in pattern.spans(text, max(first, done), last):
                whole = next(pattern.spans(text, start), (start, end)) if end == last < len(text) else (start, end)
                yield whole
                done = whole[1]


class Matcher:
    """All rules and the extra gates of normalisation behind one `re2.Set`."""

    def __init__(self, rules: Iterable[Rule], extra: Iterable[str] = (), passes: int = 1) -> None:
        self._rules: dict[int, list[tuple[CompiledRule, int | None]]] = {}
        gates: dict[str, int] = {}
        for name in extra:
            gates[name] = len(gates)
        self.extra = len(gates)
        for rule in rules:
            index, *also = [gates.setdefault(gate, len(gates)) for gate in gates_of(rule)]
            self._rules.setdefault(index, []).append((CompiledRule.of(rule), also[0] if also else None))
        self._gate = Gate(gates, passes)
        self._exact = {
            index: Gate((rule.rule.pattern for rule, _ in shared), 1)
            for index, shared in self._rules.items()
            if len(shared) >= _SHARED
        }

    def candidates(self, text: bytes) -> tuple[list[Candidate], set[int]]:
        """The rules worth running on `text` and where, and which of the extra gates were hit."""
        if len(text) <= 2 * _CHUNK:
            found = self._gate.hits(text)
            return list(self._in_short(text, found)), {index for index in found if index < self.extra}
        parts = [
            (max(0, start - _MARGIN), min(len(text), start + _CHUNK + _MARGIN)) for start in range(0, len(text), _CHUNK)
        ]
        hits: dict[int, list[int]] = {}
        for number, (first, last) in enumerate(parts):
            for index in self._gate.hits(text[first:last]):
                hits.setdefault(index, []).append(number)
        return list(self._worth_running(hits, parts)), {index for index in hits if index < self.extra}

    def _in_short(self, text: bytes, hits: list[int]) -> Iterator[Candidate]:
        """Where many rules share the gate that was hit, one more pass says which of them match."""
        whole = ((0, len(text)),)
        for index in hits:
            rules = self._rules.get(index, ())
            if index in self._exact:
                rules = [rules[number] for number in self._exact[index].hits(text)]
            for rule, also in rules:
                if also is None or also in hits:
                    yield Candidate(rule, whole)

    def _worth_running(self, hits: dict[int, list[int]], parts: list[tuple[int, int]]) -> Iterator[Candidate]:
        """Rule by rule the parts in which its gates were hit; neighbours are joined."""
        joined = {index: _joined(numbers, parts) for index, numbers in hits.items()}
        for index, numbers in hits.items():
            for rule, also in self._rules.get(index, ()):
                if also is None:
                    yield Candidate(rule, joined[index])
                elif both := sorted(set(numbers) & set(hits.get(also, ()))):
                    yield Candidate(rule, _joined(both, parts))


def _joined(numbers: list[int], parts: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        first, last = parts[number]
        if ranges and first <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], last)
        else:
            ranges.append((first, last))
    return tuple(ranges)
