"""What one rule finds in one reading of a text: its candidates, those that stand, and how sure it is of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from screening.context.identifiers import end_of_fraction, in_identifier
from screening.context.sentences import excused
from screening.matching.matcher import Candidate, CompiledRule
from screening.matching.pattern import Pattern
from screening.model import TOO_MUCH, Finding, Severity, lowered
from screening.readings import DATA_FAMILIES
from screening.text.views import View
from screening.validators import VALIDATORS

_CANDIDATE = 256
_ENOUGH = 200
_FRACTIONS = 8_000
_DIGIT_OR_LETTER = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:")
_WORD = _DIGIT_OR_LETTER | set(b"_")
_HEX_OR_COLON = frozenset(bytes([byte]) for byte in b"0123456789abcdefABCDEF:")


class _Walk:
    """The places in a text where a rule may match, one after the other.

    Personal data does not begin behind a decimal point: tables of numbers would be full of it.
    """

    def __init__(self, candidate: Candidate, raw: bytes) -> None:
        self._candidate, self._raw = candidate, raw
        self._spans = candidate.spans(raw)
        self._fractions = _FRACTIONS if candidate.compiled.rule.family == "pii" else 0

    def has(self, several: int) -> bool:
        """Whether there are so many places; the walk begins anew."""
        found = list(islice(self._spans, several))
        self.go_on(0)
        return len(found) == several

    def next(self) -> tuple[int, int] | None:
        """The next place; None when there is no more."""
        while (span := next(self._spans, None)) is not None:
            if not self._fractions or not (behind := end_of_fraction(self._raw, span[0])):
                return span
            self._fractions -= 1
            self.go_on(behind)
        return None

    def go_on(self, begin: int) -> None:
        """Look from there on."""
        self._spans = self._candidate.spans(self._raw, begin)


def findings_of(candidate: Candidate, view: View, field: str) -> Iterator[Finding]:
    """The findings of one rule in one view, validated and weighed by their context.

    After as many candidates as the rule tries the last finding says that there was more: as grave as what is looked
    for, if that is personal data, because of what policy only notes there may be any number.
    """
    compiled, rule, raw = candidate.compiled, candidate.compiled.rule, view.raw
    walk = _Walk(candidate, raw)
    if rule.at_least > 1 and not walk.has(rule.at_least):
        return
    accepted_so_far = tried = counted = 0
    while (span := walk.next()) is not None:
        if span[0] >= counted:  # what begins within a refused one counts as one with it
            tried, counted = tried + 1, span[1]
        if tried > rule.tries:
            severity = rule.severity if rule.family == "pii" else "critical"
            yield Finding("obfuscation", TOO_MUCH, severity, field, *view.original(*span), 0.5, rule.id)
            return
        if accepted_so_far > _ENOUGH and rule.family not in DATA_FAMILIES:
            return
        accepted = _accepted(compiled, raw, *span)
        if accepted is None:
            if rule.nested:
                walk.go_on(span[0] + 1)
            continue
        start, end = accepted
        if end < span[1]:  # another can begin in what it took too much
            walk.go_on(end)
        confidence = _confidence(compiled, raw, start, end)
        if confidence is None or (rule.family == "pii" and in_identifier(raw, start, end)):
            continue
        accepted_so_far += 1
        yield Finding(
            rule.family, rule.type, _severity(compiled, raw, start, end), field,
            *view.original(start, end), confidence, rule.id,
        )  # fmt: skip


def _accepted(compiled: CompiledRule, raw: bytes, start: int, end: int) -> tuple[int, int] | None:
    """What of a candidate is the match, in the eyes of its neighbours and its validator."""
    rule = compiled.rule
    if compiled.edged:  # an underscore stood for the boundary
        start, end = start + (raw[start : start + 1] == b"_"), end - (raw[end - 1 : end] == b"_")
    if rule.bounded and not _bounded(raw, start, end, _DIGIT_OR_LETTER if compiled.edged else _WORD):
        return None
    if not rule.validator:
        return start, end
    accepted = VALIDATORS[rule.validator](raw[start : min(end, start + _CANDIDATE)].decode("utf-8", "ignore"))
    return (start, start + accepted if accepted > 1 else end) if accepted else None


def _bounded(raw: bytes, start: int, end: int, word: frozenset[int]) -> bool:
    if start and raw[start - 1] in word and raw[start - 1 : start] != b":":
        return False
    after = raw[end : end + 2]
    if after[:1] == b":":
        return after[1:] not in _HEX_OR_COLON
    return not after or not (after[0] in word or (after[:1] == b"." and after[1:].isdigit()))


def _confidence(compiled: CompiledRule, raw: bytes, start: int, end: int) -> float | None:
    rule = compiled.rule
    low, high = max(0, start - rule.window), min(len(raw), end + rule.window)
    if compiled.not_cue and _rejected(compiled.not_cue, raw, (low, start, end), data=rule.family in DATA_FAMILIES):
        return None
    if compiled.cue and compiled.cue.found(raw, low, high):
        return rule.cued
    return None if rule.cue_required else rule.confidence


def _rejected(not_cue: Pattern, raw: bytes, places: tuple[int, int, int], *, data: bool) -> bool:
    """Whether the words that reject a match stand before data, or are part of an order.

    Words in another sentence reject no order: else one about somebody's dog would hide every order behind it.
    """
    low, start, end = places
    if data:
        return not_cue.found(raw[low : start + 1])  # for which its first character is the end of the text
    return any(last > start for _, last in not_cue.spans(raw, low, end))


def _severity(compiled: CompiledRule, raw: bytes, start: int, end: int) -> Severity:
    rule = compiled.rule
    if rule.family in DATA_FAMILIES or not excused(raw, start, end):
        return rule.severity
    return lowered(rule.severity)
