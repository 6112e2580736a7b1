"""Many short texts are read as one: a request of a thousand small values costs as much as one text of their length."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from screening.model import EVERYTHING, Checks, Examination, Finding

_SHORT, _BLOCK = 300, 4_000
_GAP = "\n\x1e\n"
_SEPARATELY = 64
_A_WORD_OR_TWO = 16
_NOTHING = Examination()
DOUBT = 0.2
"""Score of several texts read as one from which each is read by itself."""


class Examine(Protocol):
    """What reads one text (`Screener.examine`)."""

    def __call__(self, text: str, checks: Checks = EVERYTHING) -> Examination:
        """What is in the text."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """One long field, or several short ones, as one text; no match spans two fields."""

    parts: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """What to read."""
        return _GAP.join(text for _, text in self.parts)

    @property
    def _can_be_told_apart(self) -> bool:
        return len(self.parts) <= _SEPARATELY and not all(_is_short(text) for _, text in self.parts)

    def deal_out(
        self, whole: Examination, again: Examine | None = None, checks: Checks = EVERYTHING
    ) -> dict[str, Examination]:
        """What is in each field, given what is in the whole.

        If an injection is likely, up to 64 fields are read `again`, to tell which; else the first answers for it.
        """
        if len(self.parts) == 1:
            return {self.parts[0][0]: whole}
        if again is not None and whole.score >= DOUBT and self._can_be_told_apart:
            return self._each(again, checks)
        if not whole.findings:
            return dict.fromkeys(dict(self.parts), _NOTHING) | {self.parts[0][0]: whole}
        return dict(self._dealt(whole))

    def _each(self, again: Examine, checks: Checks) -> dict[str, Examination]:
        """Read every text by itself, but those of a word or two together: none of them is an attack alone."""
        words = Bundle(tuple(part for part in self.parts if _is_short(part[1])))
        read = words.deal_out(again(words.text, checks)) if words.parts else {}
        return {field: read.get(field) or again(text, checks) for field, text in self.parts}

    def _dealt(self, whole: Examination) -> Iterator[tuple[str, Examination]]:
        """Each finding goes to the field that it begins in."""
        found: dict[int, list[Finding]] = {}
        starts = [0]
        for _, text in self.parts[:-1]:
            starts.append(starts[-1] + len(text) + len(_GAP))
        for finding in whole.findings:
            index = bisect_right(starts, finding.start) - 1
            found.setdefault(index, []).append(_placed(finding, starts[index], len(self.parts[index][1])))
        for index, (field, _) in enumerate(self.parts):
            yield field, Examination(tuple(found.get(index, ())), 0.0 if index else whole.score)


def _is_short(text: str) -> bool:
    """A word or two of a script with letters; in Chinese as many bytes are five characters."""
    return len(text.encode("utf-8", "replace")) <= _A_WORD_OR_TWO


def bundles(fields: Mapping[str, str]) -> Iterator[Bundle]:
    """Long texts alone, short ones together."""
    together: list[tuple[str, str]] = []
    size = 0
    for field, text in fields.items():
        if len(text) > _SHORT:
            yield Bundle(((field, text),))
            continue
        if size + len(text) > _BLOCK:
            yield Bundle(tuple(together))
            together, size = [], 0
        together.append((field, text))
        size += len(text) + len(_GAP)
    if together:
        yield Bundle(tuple(together))


def examine_fields(examine: Examine, fields: Mapping[str, str], checks: Checks = EVERYTHING) -> dict[str, Examination]:
    """What is in each field."""
    result: dict[str, Examination] = {}
    for bundle in bundles(fields):
        result |= bundle.deal_out(examine(bundle.text, checks), examine, checks)
    return result


def _placed(finding: Finding, start: int, length: int) -> Finding:
    low, high = min(finding.start - start, length), min(finding.end - start, length)
    return replace(finding, start=low, end=high)
