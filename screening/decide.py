"""From findings to a decision: the rulings of requirements O.2, with the policy's thresholds."""

from __future__ import annotations

from collections.abc import Iterable

from screening.model import OTHER, RANK, TOO_MUCH, Decision, Finding
from screening.policy import Profile
from screening.readings import DATA_FAMILIES

_HIGH, _CRITICAL = RANK["high"], RANK["critical"]


def action_of(finding: Finding, profile: Profile) -> str:
    """What the policy wants for one finding of personal data or a secret."""
    part = profile.pii if finding.family == "pii" else profile.secrets
    return part.of(finding.severity)


def injection_blockers(findings: Iterable[Finding], profile: Profile) -> list[Finding]:
    """The findings that together block: one Critical, one High of a blocking family, or two families at High."""
    serious = [f for f in findings if f.family not in DATA_FAMILIES and RANK[f.severity] >= _HIGH]
    alone = [f for f in serious if RANK[f.severity] == _CRITICAL or f.family in profile.injection.block_families]
    if alone:
        return alone
    return serious if len({f.family for f in serious}) >= 2 else []


def _unread(findings: Iterable[Finding], profile: Profile) -> list[Finding]:
    """The findings that say that not all was read, where policy does more than note what may stand there.

    Of one kind of data that is only noted there can be any number.
    """
    unread = [f for f in findings if f.type == TOO_MUCH]
    return [
        f
        for f in unread
        if (profile.acts_on_data if f.severity == "critical" else profile.pii.of(f.severity) != "flag")
    ]


def decide(findings: Iterable[Finding], profile: Profile) -> tuple[Decision, list[Finding]]:
    """The decision and the findings that carry it."""
    found = list(findings)
    noting = profile.injection.action == "flag"
    injected = (not noting and injection_blockers(found, profile)) or _unread(found, profile)
    if injected:
        return "block", injected
    data = [(f, action_of(f, profile)) for f in found if f.family in DATA_FAMILIES]
    blocking = [f for f, action in data if action == "block"]
    if blocking:
        return "block", blocking
    redacting = [f for f, action in data if action == "redact"]
    return ("redact", redacting) if redacting else ("allow", [])


_WORDS = {
    "override": "an attempt to override the assistant's instructions",
    "role": "an attempt to change the assistant's role or lift its limits",
    "extraction": "an attempt to read out hidden instructions or secrets",
    "delimiter": "smuggled chat or prompt delimiters",
    "template": "a template expression that would be evaluated",
    "command": "a smuggled command",
    "exfiltration": "an instruction to send data elsewhere",
    "encoded": "an encoded instruction",
    "many_shot": "a faked dialogue",
    "obfuscation": "text hidden from the reader",
    "classifier": "wording typical of prompt injection",
    "pii": "personal data",
    "secret": "a credential",
    "remote": "what a reflex service does not say more about",
    OTHER: "an attack of another kind",
}


def known_family(finding: Finding) -> str:
    """The finding's family, or `other` for one that only a reflex service elsewhere knows: they have no bound."""
    return finding.family if finding.family in _WORDS else OTHER


def reason(decision: Decision, carrying: list[Finding]) -> str | None:
    """One sentence for the sender: what kind of thing was found in which field, never the thing itself."""
    if decision == "allow" or not carrying:
        return None
    parts = dict.fromkeys((_phrase(f), f.field) for f in carrying)
    listed = "; ".join(f"{phrase} in field '{field}'" for phrase, field in list(parts)[:3])
    more = f" (and {len(parts) - 3} more)" if len(parts) > 3 else ""
    verb = "Blocked" if decision == "block" else "Redacted"
    return f"{verb}: {listed}{more}."


def _phrase(finding: Finding) -> str:
    if finding.type == TOO_MUCH:
        return "more to check than can be checked in bounded time"
    family = known_family(finding)
    detail = finding.type.replace("_", " ") if family in DATA_FAMILIES else f"family {family}"
    return f"{_WORDS[family]} ({detail})"
