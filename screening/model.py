"""What the rule engine says about a text: findings, and the verdict drawn from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from screening.kinds import PatternSet

Severity = Literal["critical", "high", "medium", "low"]
Decision = Literal["allow", "redact", "block"]
OTHER = "other"
"""A family or a type that is none of ours."""

SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
TOO_MUCH = "too_much_to_check"
"""The type of a finding that says that not all of a text was read."""
RANK: dict[str, int] = {name: rank for rank, name in enumerate(SEVERITIES)}


def lowered(severity: Severity) -> Severity:
    """One level below `severity`; low stays low."""
    return SEVERITIES[max(0, RANK[severity] - 1)]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found, by place and kind; the matched text itself is never kept.

    `start` and `end` are character offsets in the field as it was sent, whatever was decoded or folded on the way.
    `family` is `pii`, `secret` or an injection family (`override`, `role`, `extraction`, `delimiter`, `template`,
    `command`, `exfiltration`, `encoded`, `many_shot`, `obfuscation`, `classifier`); `confidence` is 0..1.
    """

    family: str
    type: str
    severity: Severity
    field: str
    start: int
    end: int
    confidence: float
    rule: str


@dataclass(frozen=True, slots=True)
class Checks:
    """What to look for: personal data of one of the sets and secrets, injections, or both."""

    data: bool = True
    injections: bool = True
    patterns: PatternSet = "relaxed"


EVERYTHING = Checks()


@dataclass(frozen=True, slots=True)
class Examination:
    """What is in one text, whatever the policy; nothing in it is taken from the text, so it may be cached.

    `score` is the calibrated probability of an injection; the findings' `field` is empty.
    """

    findings: tuple[Finding, ...] = ()
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on one request, explained without quoting it.

    `redacted` maps a field to its text with placeholders, only where it differs; None when nothing was replaced.
    `reason` names rule family and field. In audit mode `decision` is `allow` and `would` is what it had been.
    `injection_score` is the calibrated probability of an injection, rules included: 0.5 flags. `placeholders` holds
    what the placeholders in `redacted` stand for: the one raw thing here, to be sealed and dropped; not in `repr`.
    """

    decision: Decision
    findings: tuple[Finding, ...] = ()
    redacted: dict[str, str] | None = None
    rules_version: str = ""
    engine: str = "builtin"
    truncated: bool = False
    reason: str | None = None
    would: Decision | None = None
    injection_score: float = 0.0
    placeholders: dict[str, str] | None = field(default=None, repr=False, compare=False)
