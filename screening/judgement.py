"""From what is in the texts to a verdict: the policy's answer, the sentence for the sender, and the redacted texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from screening.decide import action_of, decide, reason
from screening.model import RANK, TOO_MUCH, Examination, Finding, Severity, Verdict
from screening.placeholders import Placeholders
from screening.policy import Profile
from screening.readings import DATA_FAMILIES
from screening.redaction import Digest, StandIns
from screening.redaction import replace as redact


def judge(
    fields: Mapping[str, str],
    examined: Mapping[str, Examination],
    profile: Profile,
    rules_version: str,
    *,
    engine: str = "builtin",
    names: Placeholders | None = None,
    digest: Digest | None = None,
) -> Verdict:
    """The verdict of `profile` on texts and what was found in them (`examined` by field, of at most `max_chars`).

    `names` are the placeholders to use, new ones by default; `digest` is what the tenant's values are hashed with.
    """
    findings: list[Finding] = []
    for field, what in examined.items():
        if what.findings:
            findings += (replace(found, field=field) for found in what.findings)
        if what.score >= profile.injection.flag_score:
            findings.append(_likely(field, len(fields[field]), what.score, profile))
    findings += _unread(fields, profile)
    score = max([what.score for what in examined.values()], default=0.0)
    kept = tuple(_foremost(findings, profile.max_findings))
    truncated = len(findings) > len(kept) or max(map(len, fields.values()), default=0) > profile.max_chars
    verdict = Verdict("allow", kept, None, rules_version, engine, truncated, injection_score=score)
    if not kept:
        return verdict
    return _decided(verdict, findings, fields, profile, StandIns(profile.redaction, names, digest))


def _decided(
    verdict: Verdict,
    findings: list[Finding],
    fields: Mapping[str, str],
    profile: Profile,
    instead: StandIns,
) -> Verdict:
    """The decision on all findings: what is left out of the report is redacted all the same."""
    decision, carrying = decide(findings, profile)
    told = replace(verdict, reason=reason(decision, carrying))
    if decision == "allow":
        return told
    if profile.audit:
        return replace(told, would=decision)
    texts = _redacted(fields, findings, profile, instead, everything=decision == "block")
    return replace(told, decision=decision, redacted=texts or None, placeholders=instead.names.values() or None)


def treated(
    texts: Mapping[str, str],
    examined: Mapping[str, Examination],
    profile: Profile,
    names: Placeholders,
    digest: Digest | None = None,
) -> dict[str, str]:
    """What to show instead of texts that nobody has waited to have judged: each by itself redacted or withheld."""
    result: dict[str, str] = {}
    for field, what in examined.items():
        few = len(texts[field]) <= profile.max_chars
        if few and not what.findings and what.score < profile.injection.flag_score:
            continue
        verdict = judge({field: texts[field]}, {field: what}, profile, "", names=names, digest=digest)
        if verdict.decision == "block" and any(f.family not in DATA_FAMILIES for f in _carrying(verdict, profile)):
            result[field] = f"[withheld: {verdict.reason}]"
        elif verdict.redacted:
            result |= verdict.redacted
    return result


def _carrying(verdict: Verdict, profile: Profile) -> list[Finding]:
    return decide(verdict.findings, profile)[1]


def _likely(field: str, length: int, score: float, profile: Profile) -> Finding:
    severity: Severity = "critical" if score >= profile.injection.block_score else "medium"
    return Finding("classifier", "likely_injection", severity, field, 0, length, score, "classifier")


def _unread(fields: Mapping[str, str], profile: Profile) -> Iterator[Finding]:
    """What lies beyond `max_chars` was not read: it passes as little as what is too much to check."""
    most = profile.max_chars
    for field, text in fields.items():
        if len(text) > most:
            yield Finding("obfuscation", TOO_MUCH, "critical", field, most, len(text), 0.5, "any.obfuscation.volume")


def _foremost(findings: list[Finding], most: int) -> list[Finding]:
    """The most severe when there are too many, so that truncation never hides what would have blocked."""
    if len(findings) <= most:
        return findings
    return sorted(findings, key=lambda finding: -RANK[finding.severity])[:most]


def _redacted(
    fields: Mapping[str, str],
    findings: list[Finding],
    profile: Profile,
    instead: StandIns,
    *,
    everything: bool,
) -> dict[str, str]:
    chosen: dict[str, list[Finding]] = {}
    for found in findings:
        if found.family in DATA_FAMILIES and (everything or action_of(found, profile) == "redact"):
            chosen.setdefault(found.field, []).append(found)
    if chosen:
        for text in fields.values():
            instead.names.spare(text)
    return {field: redact(fields[field], spans, instead) for field, spans in chosen.items()}
