"""Find candidates in linear time: gates say which rules can match at all and where, then only those are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from screening.matching.gate import Gate
from screening.matching.pattern import Pattern
from screening.matching.survey import Survey
from screening.rules import Rule

SHORT, _CHUNK, _MARGIN, VERY_LONG = 4096, 2048, 400, 200_000
_SHARED = 2
_EDGE = r"(?:\b|_)"
_RUNS, _COUNTING = ("]{12}", "]{16}", "]{17}", "]{22}", "[01]{8}", "0x["), ("]{", "\\d")


def gates_of(rule: Rule) -> list[str]:
    """One or two cheap patterns that are somewhere near, wherever the rule can match."""
    if rule.cue and rule.cue_required:
        return [gate for gate in (rule.cue, rule.also or rule.gate) if gate]
    return [gate for gate in (rule.gate or rule.pattern, rule.also) if gate]


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its expressions ready to run; of an `edged` one a match may have an underscore at its ends."""

    rule: Rule
    pattern: Pattern
    cue: Pattern | None
    not_cue: Pattern | None
    edged: bool = False

    @classmethod
    def of(cls, rule: Rule) -> CompiledRule:
        """Compile one rule; raises re2.error for a pattern RE2 refuses."""
        return cls(
            rule,
            Pattern(rule.pattern),
            Pattern(rule.cue) if rule.cue else None,
            Pattern(rule.not_cue) if rule.not_cue else None,
            _EDGE in rule.pattern,
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule that can match, and the byte ranges of the text in which it can."""

    compiled: CompiledRule
    ranges: Ranges

    def spans(self, text: bytes, begin: int = 0) -> Iterator[tuple[int, int]]:
        """Byte offsets of the rule's matches from `begin` on; one that goes on past its range is followed."""
        pattern = self.compiled.pattern
        done = begin
        for first, last in self.ranges:
            if last <= done:
                continue
            for start, end in pattern.spans(text, max(first, done), last):
                whole = next(pattern.spans(text, start), (start, end)) if end == last < len(text) else (start, end)
                yield whole
                done = whole[1]


Gated = tuple[CompiledRule, int | None]
"""A rule, and the number of its second gate."""
Ranges = tuple[tuple[int, int], ...]
Places = NDArray[np.int64]


class Matcher:
    """All rules and the extra gates of normalisation behind a few `re2.Set`s.

    Rules are of kinds (a number of each, by `kind_of`), and `candidates` gives those of the kinds asked for. Of the
    `extra` gates those that are `brief` are not looked for in texts of more bytes than is said there.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        kind_of: Callable[[Rule], int],
        extra: Iterable[str] = (),
        brief: Mapping[str, int] | None = None,
    ) -> None:
        self._rules: dict[tuple[int, int], list[Gated]] = {}
        gates: dict[str, int] = {}
        for name in extra:
            gates[name] = len(gates)
        self.extra = len(gates)
        used: dict[int, set[int]] = {}
        for rule in rules:
            index, *also = numbers = [gates.setdefault(gate, len(gates)) for gate in gates_of(rule)]
            gated = (CompiledRule.of(rule), also[0] if also else None)
            self._rules.setdefault((kind_of(rule), index), []).append(gated)
            used.setdefault(kind_of(rule), set()).update(numbers)
        every = list(enumerate(gates))
        self._gate = Gate(every, _RUNS, _COUNTING)
        brief = brief or {}
        self._brief = max(brief.values(), default=SHORT)
        lasting = [one for one in every if one[1] not in brief]
        self._long = Gate(lasting, _RUNS, _COUNTING)
        self._survey = Survey(lasting, self._long, _RUNS, _COUNTING)
        self._by_kind = {
            kind: Gate(
                [one for one in lasting if one[0] in numbers or (kind and one[0] < self.extra)], _RUNS, _COUNTING
            )
            for kind, numbers in used.items()
        }
        self._exact = {
            key: Gate(enumerate(rule.rule.pattern for rule, _ in shared))
            for key, shared in self._rules.items()
            if len(shared) >= _SHARED
        }

    def candidates(self, text: bytes, *kinds: int, hidden_in: int = 0) -> tuple[list[Candidate], set[int]]:
        """The rules of these kinds worth running on `text` and where, and which of the extra gates were hit.

        Of one kind only its own gates are looked for, and the extra ones with the second kind. A very long text, and
        what was hidden in a text so long (of `hidden_in` bytes), is surveyed without new automata.
        """
        if len(text) <= SHORT:
            found = self._gate.hits(text)
            rules = [rule for kind in kinds for rule in self._in_short(text, found, kind)]
            return rules, {index for index in found if index < self.extra}
        parts = _parts(len(text))
        if max(len(text), hidden_in) < VERY_LONG:
            gate = (
                self._gate if len(text) <= self._brief else self._by_kind[kinds[0]] if len(kinds) == 1 else self._long
            )
            hits = gate.places([text[first:last] for first, last in parts])
        else:
            starts, ends = np.array(parts, np.int64).T
            hits = self._survey.places(text, starts, ends)
        rules = [rule for kind in kinds for rule in self._worth_running(text, hits, parts, kind)]
        return rules, {index for index in hits if index < self.extra}

    def candidates_of_both(
        self, text: bytes, kinds: Sequence[int], other: bytes, kind: int
    ) -> tuple[list[Candidate], list[Candidate], set[int]]:
        """As `candidates` of a text, and of another that says the same with other letters, character by character.

        What is the same in both, as all that is ASCII, is read once in a long text with little else.
        """
        parts = _parts(len(text))
        excerpts = [text[first:last] for first, last in parts]
        if not self._brief < len(text) < VERY_LONG or 2 * sum(map(bytes.isascii, excerpts)) < len(parts):
            return self.candidates(text, *kinds)[0], *self.candidates(other, kind)
        moved = [(first, last) for first, last in _moved(np.array(parts, np.int64), text, other).tolist()]
        others = [other[first:last] for first, last in moved]
        foreign = {number: part for number, part in enumerate(others) if part != excerpts[number]}
        found = self._long.places(excerpts + list(foreign.values()))
        of_both = [*range(len(parts)), *foreign]
        hits = {index: [number for number in numbers if number < len(parts)] for index, numbers in found.items()}
        there = {
            index: sorted(of_both[number] for number in numbers if number >= len(parts) or number not in foreign)
            for index, numbers in found.items()
        }
        rules = [rule for one in kinds for rule in self._worth_running(text, hits, parts, one)]
        more = list(self._worth_running(other, there, moved, kind))
        return rules, more, {index for index, numbers in there.items() if numbers and index < self.extra}

    def candidates_of_short(self, texts: Sequence[bytes], *kinds: int) -> list[list[Candidate]]:
        """As `candidates`, of many short texts at once and without new automata."""
        ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
        starts = np.append(np.int64(0), ends[:-1])
        found: list[list[int]] = [[] for _ in texts]
        for index, places in self._survey.places(b"".join(texts), starts, ends).items():
            for place in places:
                found[place].append(index)
        every = zip(texts, found, strict=True)
        return [[rule for kind in kinds for rule in self._in_short(text, hits, kind)] for text, hits in every]

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
            if not numbers or (kind, index) not in self._rules:
                continue
            joined = _joined(numbers, parts)
            for rule, also in self._matching(text, (kind, index), joined):
                if also is None:
                    yield Candidate(rule, joined)
                elif both := sorted(set(numbers) & set(hits.get(also, ()))):
                    yield Candidate(rule, _joined(both, parts))


def _parts(length: int) -> list[tuple[int, int]]:
    """The parts of so many bytes that are read one by one."""
    size = _CHUNK if length < VERY_LONG else 4 * _CHUNK
    return [(start, min(length, start + size + _MARGIN)) for start in range(0, length, size)]


def _moved(places: Places, text: bytes, other: bytes) -> Places:
    """Where places in a text are in another of as many characters; within a character it is the next one's."""
    inner, others = (np.flatnonzero((np.frombuffer(raw, np.uint8) & 0xC0) == 0x80) for raw in (text, other))
    characters = places - np.searchsorted(inner, places)
    moved: Places = characters + np.searchsorted(others - np.arange(1, len(others) + 1), characters)
    return moved


def _joined(numbers: list[int], parts: list[tuple[int, int]]) -> Ranges:
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        first, last = parts[number]
        if ranges and first <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], last)
        else:
            ranges.append((first, last))
    return tuple(ranges)
