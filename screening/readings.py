"""All readings of a field that are worth screening, each with the rules that can match it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from screening.matching.gate import Gate
from screening.matching.matcher import SHORT, VERY_LONG, Candidate, Matcher
from screening.rules import Rule
from screening.text import disguises, encodings
from screening.text.characters import Characters, Disguise
from screening.text.views import View

DATA_FAMILIES = frozenset({"pii", "secret"})
_GATES = {**encodings.GATES, **disguises.GATES}
_ENCODINGS = list(encodings.GATES)
_CUED = {"rot13", "reverse"}
_UNSCORED = {"squashed", "folded"}
_MOST, _TWICE, _ACCENTED = 240, 8000, 4
_DATA, _INJECTIONS = 0, 1


@dataclass(frozen=True, slots=True)
class Reading:
    """One view of a field and its candidate rules; `scored` views are read by the classifier as well."""

    view: View
    rules: list[Candidate]
    scored: bool = True


class Reader:
    """Turns a text into readings; compiled once, without state.

    Rules for data run on the text as it stands, rules for injections on its reading without accents.
    """

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._names = list(_GATES)
        self._matcher = Matcher(rules, _kind_of, _GATES.values(), disguises.BRIEF)
        self._encodings = Gate(enumerate(encodings.GATES.values()))
        self._characters = Characters()

    def read_for_data(self, text: str) -> tuple[list[Reading], Disguise]:
        """As `read`, without what only injections hide under."""
        base, disguise = self._characters.base(text)
        readings = [Reading(base, self._matcher.candidates(base.raw, _DATA)[0])]
        gates = {_ENCODINGS[index] for index in self._encodings.hits(base.raw)} - _CUED
        for view in encodings.decoded(base, gates):
            if view.name == "cut" or len(readings) == _MOST:
                return readings, replace(disguise, exhausting=True)
            readings.append(Reading(view, self._matcher.candidates(view.raw, _DATA)[0]))
        return readings, disguise

    def read(self, text: str) -> tuple[list[Reading], Disguise]:
        """The text as it stands first, then what is under its disguises; and what had to be taken off."""
        base, disguise = self._characters.base(text)
        folded = None if base.raw.isascii() else self._characters.folded(base, look_alikes=disguise.mixed > 0)
        if folded is None:
            clear = base
            rules, hits = self._matcher.candidates(base.raw, _DATA, _INJECTIONS)
            readings = [Reading(base, rules)]
        else:
            clear = folded  # with mixed scripts the text as it stands is read for injections in what is not Latin
            kinds = (_DATA, _INJECTIONS) if disguise.mixed else (_DATA,)
            data, rules, hits = self._matcher.candidates_of_both(base.raw, kinds, clear.raw, _INJECTIONS)
            meant = not disguise.mixed or self._characters.is_foreign(base)
            readings = [Reading(base, data, scored=meant)]
            scored = disguise.mixed > 0 or self._characters.is_marked(base)
            readings.append(Reading(clear, rules, scored=scored))
        if hits:
            gates = {self._names[index] for index in hits}
            disguise = self._uncover(clear, gates, readings, disguise)
            if clear is not base and not disguise.mixed and "leet" in gates:  # accents count to the classifier
                readings += (Reading(view, []) for view in islice(disguises.undisguised(base, {"leet"}), _ACCENTED))
        return readings, disguise

    def _uncover(self, clear: View, gates: set[str], readings: list[Reading], disguise: Disguise) -> Disguise:
        """Add what is under the disguises whose gates were hit; says so when there was too much of it."""
        short: list[View] = []
        twice: list[tuple[View, set[int]]] = []
        for view in self._hidden(clear, gates):
            if view.name == "cut" or len(readings) + len(short) == _MOST:
                disguise = replace(disguise, exhausting=True)
                break
            if len(clear.raw) >= VERY_LONG and len(view.raw) <= SHORT:
                short.append(view)
                continue
            rules, hits = self._matcher.candidates(view.raw, *_kinds_under(view), hidden_in=len(clear.raw))
            readings.append(Reading(view, rules, scored=view.name not in _UNSCORED))
            if hits and view.name == "decoded":
                twice.append((view, hits))
            if view.name == "decoded" and _is_mostly_escapes(view, clear):
                readings[0] = replace(readings[0], scored=False)  # its letters mean nothing
        readings += self._short(short)
        readings += islice(self._twice(twice), max(0, _MOST - len(readings)))
        return disguise

    def _twice(self, views: list[tuple[View, set[int]]]) -> Iterator[Reading]:
        """What is hidden in what was hidden, of some thousand characters of it."""
        left = _TWICE
        for view, hits in views:
            left -= len(view.text)
            if left < 0:
                return
            for inner in self._hidden(View(view.text, raw=view.raw), {self._names[index] for index in hits}):
                rules = self._matcher.candidates(inner.raw, *_kinds_under(inner))[0]
                yield Reading(view.through(inner), rules, scored=inner.name not in _UNSCORED)

    def _short(self, views: list[View]) -> Iterator[Reading]:
        """The readings of short stretches of a very long text."""
        for kinds in (_INJECTIONS,), (_INJECTIONS, _DATA):
            chosen = [view for view in views if _kinds_under(view) == kinds]
            found = self._matcher.candidates_of_short([view.raw for view in chosen], *kinds) if chosen else []
            for view, rules in zip(chosen, found, strict=True):
                yield Reading(view, rules, scored=view.name not in _UNSCORED)

    def _hidden(self, clear: View, gates: set[str]) -> Iterator[View]:
        yield from disguises.undisguised(clear, gates)
        for view in encodings.decoded(clear, gates):
            yield from self._clear(view)

    def _clear(self, view: View) -> Iterator[View]:
        """What was decoded, as if it had stood there: escapes can stand for characters that hide or look alike."""
        if view.text.isascii() and view.text.isprintable():
            yield view
            return
        inner, disguise = self._characters.base(view.text)
        yield view if inner.text == view.text else view.through(inner)
        folded = None if inner.raw.isascii() else self._characters.folded(inner, look_alikes=disguise.mixed > 0)
        if folded:
            meant = disguise.mixed or self._characters.is_marked(inner)
            yield replace(view.through(folded), name="alike" if meant else "folded")


def _kind_of(rule: Rule) -> int:
    return _DATA if rule.family in DATA_FAMILIES else _INJECTIONS


def _kinds_under(view: View) -> tuple[int, ...]:
    """What may be hidden: what only looks otherwise is data as it stands."""
    return (_INJECTIONS, _DATA) if view.name in {"decoded", encodings.TURNED} else (_INJECTIONS,)


def _is_mostly_escapes(view: View, clear: View) -> bool:
    """Whether most of a text was near to escapes, and much shorter without them."""
    if view.origin is None or view.until is None:
        return view.origin is not None and 10 * len(view.text) < 7 * len(clear.text)
    before = int((view.until - view.origin).sum())
    return 10 * len(view.text) < 7 * before and 2 * before > len(clear.text)
