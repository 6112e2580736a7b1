"""The screener: text in, verdict out. Compiled once, no I/O, safe to share between threads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from functools import partial
from typing import TYPE_CHECKING

from screening.classifier.linear import Classifier
from screening.digest import own_digest
from screening.familiar import Familiar
from screening.fields import examine_fields
from screening.judgement import judge
from screening.keyed import with_keys, without_keys
from screening.kinds import PatternSet, left_out
from screening.matches import findings_of
from screening.matching.matcher import Candidate
from screening.model import EVERYTHING, RANK, TOO_MUCH, Checks, Examination, Finding, Verdict
from screening.policy import Policy
from screening.readings import DATA_FAMILIES, Reader, Reading
from screening.redaction import Digest, StandIns, replace
from screening.rules import Rule, load
from screening.text.characters import Disguise
from screening.version import version_of_code

if TYPE_CHECKING:  # training and measuring do without the libraries that seal
    from screening.sealing import Sealer

_LONG = 50_000
_READ = 12
_MUCH_SURER = 0.12
_FLOOR = {"critical": 0.97, "high": 0.6, "medium": 0.0, "low": 0.0}
_BONUS = {"critical": 6.0, "high": 4.0, "medium": 1.0, "low": 0.0}


class RuleError(ValueError):
    """A rule does not find its own example, or finds a counter-example: the rule files are broken."""


class Screener:
    """Screens the text fields of one request against the rules and the policy.

    Construction compiles every rule and proves it on its examples; raises RuleError when one fails. Without a sealer
    the hashes that a policy may ask for are this process's own.
    """

    def __init__(self, policy: Policy | None = None, sealer: Sealer | None = None) -> None:
        self.policy = policy or Policy.load()
        self.sealer = sealer
        rules, version = load()
        self.rules_version = f"{version}-{version_of_code()}"
        self._reader = Reader(rules)
        self._classifier = Classifier()
        self.familiar = Familiar()
        self._severities = {rule.id: rule.severity for rule in rules}
        self.types = frozenset(rule.type for rule in rules)
        for rule in rules:
            self._prove(rule)

    def under(self, policy: Policy) -> Screener:
        """The same rules under another policy; costs nothing."""
        other = copy(self)
        other.policy = policy
        return other

    def with_keys_of(self, sealer: Sealer) -> Screener:
        """The same rules with other keys to hash with; costs nothing."""
        other = copy(self)
        other.sealer = sealer
        return other

    def digest(self, tenant: str) -> Digest:
        """What the values of a tenant are hashed with where policy says so."""
        return partial(self.sealer.digest, tenant) if self.sealer else own_digest

    def _prove(self, rule: Rule) -> None:
        for text, wanted in [(t, True) for t in rule.examples.match] + [(t, False) for t in rule.examples.no_match]:
            found = any(
                True
                for reading in self._reader.read(text)[0]
                for candidate in reading.rules
                if candidate.compiled.rule.id == rule.id
                for _ in findings_of(candidate, reading.view, "")
            )
            if found != wanted:
                raise RuleError(f"rule {rule.id} {'misses' if wanted else 'finds'} its example {text!r}")

    def screen(self, fields: Mapping[str, str], *, kind: str, tenant: str) -> Verdict:
        """The verdict on all user text of a request; `fields` maps a JSON-pointer-like name to its text.

        `kind` is the task kind (goal, subtask, turn, refinement, output, files) and `tenant` the tenant id, for the
        policy.
        """
        profile = self.policy.profile(tenant=tenant, kind=kind)
        texts = {field: text[: profile.max_chars] for field, text in fields.items()}
        checks = Checks(patterns=profile.patterns)
        examined = without_keys(texts, examine_fields(self.examine, with_keys(texts), checks))
        return judge(fields, examined, profile, self.rules_version, digest=self.digest(tenant))

    def examine(self, text: str, checks: Checks = EVERYTHING) -> Examination:
        """What is in one text, for `judge`; the same text and checks give the same under one `rules_version`."""
        if not checks.injections:
            return Examination(tuple(self.data_findings(text, checks.patterns)))
        findings, readings = self._field("", text, left_out(checks.patterns))
        score = self._score(findings, readings)
        if not checks.data:
            findings = [found for found in findings if found.family not in DATA_FAMILIES]
        return Examination(tuple(findings), score)

    def data_findings(self, text: str, patterns: PatternSet = "relaxed") -> list[Finding]:
        """Personal data and secrets of any severity in one text; `too_much_to_check` among them says: not all."""
        unwanted = left_out(patterns)
        readings, disguise = self._reader.read_for_data(text)
        chosen = ((view.view, rule) for view in readings for rule in view.rules)
        found = [
            f for view, one in chosen if one.compiled.rule.type not in unwanted for f in findings_of(one, view, "")
        ]
        if disguise.exhausting:
            found += _disguised(Disguise(exhausting=True), "", len(text))
        return resolved(found)

    def _field(
        self, field: str, text: str, unwanted: frozenset[str] = frozenset()
    ) -> tuple[list[Finding], list[Reading]]:
        readings, disguise = self._reader.read(text)
        found: list[Finding] = []
        for reading, rule in _gravest_first(readings):
            if len(text) > _LONG and rule.compiled.rule.family not in DATA_FAMILIES and _is_grave(found):
                break  # it is blocked whatever else is in it
            if rule.compiled.rule.type not in unwanted:
                found += findings_of(rule, reading.view, field)
        return resolved([*found, *_disguised(disguise, field, len(text))]), readings

    def _score(self, found: list[Finding], readings: list[Reading]) -> float:
        """The probability of an injection: the classifier's highest logit, raised by what the rules found."""
        if _is_grave(found) and len(readings[0].view.text) > _LONG:
            return self.score_of(found, -math.inf)
        scored = [reading.view.text for reading in readings if reading.scored]
        if len(scored) > _READ:
            scored = scored[:1] + sorted(scored[1:], key=len)[-_READ:]
        best, needed = -math.inf, -self._raised(found)
        for text in scored:
            best = max(best, self._classifier.logit(text, max(best, needed)))
        return self.score_of(found, best)

    def score_of(self, found: Iterable[Finding], logit: float) -> float:
        """The probability of an injection from the rules' findings and the classifier's logit."""
        injections = [finding for finding in found if finding.family not in DATA_FAMILIES]
        total = 1 / (1 + math.exp(-max(-60.0, min(60.0, logit + self._raised(injections)))))
        meant = [_FLOOR[f.severity] for f in injections if self._severities.get(f.rule, f.severity) == f.severity]
        return round(max(total, *meant, 0.0), 4)

    def _raised(self, found: Iterable[Finding]) -> float:
        """What the two gravest findings of injections add to the logit."""
        return sum(sorted(self._bonus(finding) for finding in found if finding.family not in DATA_FAMILIES)[-2:])

    def _bonus(self, finding: Finding) -> float:
        lowered_by_context = finding.severity != self._severities.get(finding.rule, finding.severity)
        return 1.0 if lowered_by_context else _BONUS[finding.severity]

    def redact(self, text: str) -> str:
        """`text` with all personal data and secrets of any severity replaced, for logs and derived text.

        A text with more of them than are checked is withheld whole.
        """
        findings = self.data_findings(text)
        if any(found.type == TOO_MUCH for found in findings):
            return "[WITHHELD]"
        return replace(text, (found for found in findings if found.family in DATA_FAMILIES), StandIns())


def _gravest_first(readings: list[Reading]) -> list[tuple[Reading, Candidate]]:
    """In a long text rules for data first, then those for injections, the most severe first."""

    def order(pair: tuple[Reading, Candidate]) -> int:
        rule = pair[1].compiled.rule
        return 0 if rule.family in DATA_FAMILIES else 1 + RANK["critical"] - RANK[rule.severity]

    pairs = [(reading, rule) for reading in readings for rule in reading.rules]
    return sorted(pairs, key=order) if len(readings[0].view.text) > _LONG else pairs


def _is_grave(found: list[Finding]) -> bool:
    return any(f.severity == "critical" and f.family not in DATA_FAMILIES for f in found)


def _disguised(disguise: Disguise, field: str, length: int) -> Iterator[Finding]:
    """Hiding text is a finding of its own, whatever the text says."""
    if disguise.tags >= 4:
        yield Finding("obfuscation", "hidden_tags", "high", field, 0, length, 0.9, "any.obfuscation.tags")
    if disguise.invisible >= 3:
        yield Finding(
            "obfuscation", "invisible_characters", "medium", field, 0, length, 0.7, "any.obfuscation.invisible"
        )
    if disguise.exhausting:
        yield Finding("obfuscation", TOO_MUCH, "critical", field, 0, length, 0.5, "any.obfuscation.volume")
    if disguise.mixed >= 4:
        yield Finding("obfuscation", "mixed_scripts", "medium", field, 0, length, 0.7, "any.obfuscation.scripts")


def resolved(findings: list[Finding]) -> list[Finding]:
    """Overlaps settled within data and within injections: the longest wins, then the most severe, then the surest.

    But longer data hides none that is more severe and much surer: digits in front make no telephone number of a social
    security number. Of data that only overlap both stay: an address behind a card's number makes no address of both.
    And an address hides nothing graver than itself, because it begins wherever somebody lets it begin.
    """
    if len(findings) < 2:
        return findings
    kept: list[Finding] = []
    for data in (True, False):
        group = [f for f in findings if (f.family in DATA_FAMILIES) == data]
        group.sort(key=lambda f: (f.start, -f.end))
        kept += _without_overlaps(group, data=data)
    return kept


def _without_overlaps(group: list[Finding], *, data: bool) -> list[Finding]:
    kept: list[Finding] = []
    for finding in group:
        rival = next(
            (i for i in range(len(kept) - 1, max(-1, len(kept) - 8), -1)
             if kept[i].end > finding.start and (data or kept[i].family == finding.family)),
            None,
        )  # fmt: skip
        if rival is None:
            kept.append(finding)
            continue
        other = kept[rival]
        if _prevails(finding, other):
            kept[rival : rival + 1] = [other, finding] if data and _stays(other, finding) else [finding]
        elif data and _stays(finding, other):
            kept.append(finding)
    return kept


def _stays(beaten: Finding, winner: Finding) -> bool:
    """Whether beaten data is something of its own beside the winner; a secret is that all around it, too."""
    if winner.start <= beaten.start and beaten.end <= winner.end:
        return winner.type == "email" and RANK[beaten.severity] > RANK[winner.severity]
    return beaten.family == "secret" or beaten.start > winner.start or beaten.end < winner.end


def _prevails(finding: Finding, rival: Finding) -> bool:
    graver = RANK[finding.severity] - RANK[rival.severity]
    surer = finding.confidence - rival.confidence
    if finding.family in DATA_FAMILIES and graver * surer > 0 and abs(surer) > _MUCH_SURER:
        return graver > 0
    return _weight(finding) > _weight(rival)


def _weight(finding: Finding) -> tuple[int, int, float]:
    return finding.end - finding.start, RANK[finding.severity], finding.confidence
