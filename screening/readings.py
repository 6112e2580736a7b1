"""All readings of a field that are worth screening, each with the rules that can match it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from screening import disguises, encodings
from screening.characters import Characters, Disguise
from screening.matcher import Candidate, Matcher
from screening.rules import Rule
from screening.views import View

DATA_FAMILIES = frozenset({"pii", "secret"})
_GATES = {**encodings.GATES, **disguises.GATES}
_MOST = 240
_WHOLE = frozenset({"plain", "decoded"})


@dataclass(frozen=True, slots=True)
class Reading:
    """One view of a field and its candidate rules; `scored` views are read by the classifier as well."""

    view: View
    rules: list[Candidate]
    scored: bool = True


class Reader:
    """Turns a text into readings; compiled once, without state."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._names = list(_GATES)
        self._matcher = Matcher(rules, _GATES.values())
        self._characters = Characters()

    def read(self, text: str) -> tuple[list[Reading], Disguise]:
        """The text as it stands first, then what is under its disguises; and what had to be taken off."""
        base, disguise = self._characters.base(text)
        rules, hits = self._matcher.candidates(base.raw)
        if base.raw.isascii():
            if not hits:
                return [Reading(base, rules)], disguise
            clear = base
            readings = [Reading(base, rules)]
        else:
            folded = self._characters.folded(base, look_alikes=disguise.mixed > 0)
            clear = folded if folded is not None and disguise.mixed else base
            kept = rules if folded is None or disguise.mixed else _data(rules)
            readings = [Reading(base, kept, scored=clear is base)]
            if folded is not None:
                more, hits = self._matcher.candidates(folded.raw)
                readings.append(Reading(folded, _injections(more), scored=clear is folded))
        gates = {self._names[index] for index in hits}
        for view in self._hidden(clear, gates):
            if view.name == "cut":
                disguise = replace(disguise, exhausting=True)
                continue
            found, _ = self._matcher.candidates(view.raw)
            readings.append(
                Reading(view, found if view.name in _WHOLE else _injections(found), scored=view.name != "squashed")
            )
            if len(readings) == _MOST:
                disguise = replace(disguise, exhausting=True)
                break
        return readings, disguise

    def _hidden(self, clear: View, gates: set[str]) -> Iterator[View]:
        yield from disguises.undisguised(clear, gates)
        for view in encodings.decoded(clear, gates):
            if view.span is None or view.text.isascii():
                yield view
            else:
                inner, disguise = self._characters.base(view.text)
                folded = self._characters.folded(inner, look_alikes=disguise.mixed > 0)
                yield View((folded or inner).text, view.name, span=view.span)


def _injections(rules: list[Candidate]) -> list[Candidate]:
    return [rule for rule in rules if rule.compiled.rule.family not in DATA_FAMILIES]


def _data(rules: list[Candidate]) -> list[Candidate]:
    return [rule for rule in rules if rule.compiled.rule.family in DATA_FAMILIES]
