"""Many short texts are read as one: a request of a thousand small values costs as much as one text of their length."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from screening.model import EVERYTHING, Checks, Examination, Finding

_SHORT, _BLOCK = 300, 4_000
_GAP = "\n\x1e\n"
_DOUBT = 0.2
_SEPARATELY = 64

Batch = list[tuple[str, str]]


class Examiner(Protocol):
    """What reads one text (`Screener.examine`)."""

    def examine(self, text: str, checks: Checks = EVERYTHING) -> Examination:
        """What is in the text."""


def examine_fields(
    examiner: Examiner, fields: Mapping[str, str], checks: Checks = EVERYTHING
) -> dict[str, Examination]:
    """What is in each field. No match spans two fields; in what block of short ones an injection is likely is found
    by reading up to 64 of them again, beyond that the block's first field answers for it.
    """
    result = {field: Examination() for field in fields}
    for batch in _batches(fields):
        if len(batch) == 1:
            result[batch[0][0]] = examiner.examine(batch[0][1], checks)
            continue
        whole = examiner.examine(_GAP.join(text for _, text in batch), checks)
        if whole.score >= _DOUBT and len(batch) <= _SEPARATELY:
            result |= {field: examiner.examine(text, checks) for field, text in batch}
        else:
            _deal_out(whole, batch, result)
    return result


def _batches(fields: Mapping[str, str]) -> Iterator[Batch]:
    """Long texts alone, short ones together."""
    together: Batch = []
    size = 0
    for field, text in fields.items():
        if len(text) > _SHORT:
            yield [(field, text)]
            continue
        if size + len(text) > _BLOCK:
            yield together
            together, size = [], 0
        together.append((field, text))
        size += len(text) + len(_GAP)
    if together:
        yield together


def _deal_out(whole: Examination, batch: Batch, result: dict[str, Examination]) -> None:
    """Give each finding to the field that it begins in."""
    starts = [0]
    for _, text in batch[:-1]:
        starts.append(starts[-1] + len(text) + len(_GAP))
    found: dict[str, list[Finding]] = {}
    for finding in whole.findings:
        index = bisect_right(starts, finding.start) - 1
        field, text = batch[index]
        found.setdefault(field, []).append(_placed(finding, starts[index], len(text)))
    for field, findings in found.items():
        result[field] = Examination(tuple(findings))
    first = batch[0][0]
    result[first] = replace(result[first], score=whole.score)


def _placed(finding: Finding, start: int, length: int) -> Finding:
    low, high = min(finding.start - start, length), min(finding.end - start, length)
    return replace(finding, start=low, end=high)
