"""`POST /process`: the one schema that our service answers with and our client understands (requirements 000.2).

Where its two descriptions disagree: the status is lower case, matches have `start` and `end` in characters, and the
matched text is in neither. A client takes either spelling of a status, and ignores what it does not know.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from screening.model import TOO_MUCH, Decision, Examination, Finding, Severity, Verdict
from screening.readings import DATA_FAMILIES

MAX_TEXT = 100_000
Status = Literal["success", "blocked", "ratelimited", "error"]


class ProcessRequest(BaseModel):
    """A text to look at: 1 to 100,000 characters."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    text: str = Field(min_length=1, max_length=MAX_TEXT)
    user_id: str | None = Field(default=None, pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    check_pii: bool = True
    check_injection: bool = True
    use_cache: bool = True


class PiiMatch(BaseModel):
    """Personal data or a secret: what kind and where, never what."""

    model_config = ConfigDict(frozen=True)

    pii_type: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    confidence: float = Field(default=0.8, ge=0, le=1)
    severity: Severity | None = None
    family: str = "pii"


class InjectionMatch(BaseModel):
    """Something that reads like an attack: of which kind and where."""

    model_config = ConfigDict(frozen=True)

    injection_type: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    severity: Severity
    confidence: float = Field(default=0.8, ge=0, le=1)
    family: str | None = None

    @field_validator("severity", mode="before")
    @classmethod
    def _in_lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value


class ProcessAnswer(BaseModel):
    """What was found. `injection_score`, `decision`, `reason`, `rules_version` and `engine` are ours on top.

    `would` is what an audit policy would have decided.
    """

    model_config = ConfigDict(frozen=True)

    request_id: str | None = None
    status: Status
    pii_detected: bool = False
    pii_matches: tuple[PiiMatch, ...] = ()
    injection_detected: bool = False
    injection_matches: tuple[InjectionMatch, ...] = ()
    cache_hit: bool = False
    processing_time_ms: float = Field(default=0.0, ge=0)
    injection_score: float | None = Field(default=None, ge=0, le=1)
    decision: Decision | None = None
    would: Decision | None = None
    reason: str | None = None
    truncated: bool | None = None
    rules_version: str | None = None
    engine: str | None = None

    @field_validator("status", mode="before")
    @classmethod
    def _in_lower_case(cls, value: object) -> object:
        return value.lower().replace("_", "") if isinstance(value, str) else value


def answer(verdict: Verdict, *, request_id: str, cache_hit: bool, milliseconds: float) -> ProcessAnswer:
    """Our answer for a verdict on one text."""
    data = tuple(f for f in verdict.findings if f.family in DATA_FAMILIES)
    injections = tuple(f for f in verdict.findings if f.family not in DATA_FAMILIES)
    return ProcessAnswer(
        request_id=request_id,
        status="blocked" if verdict.decision == "block" else "success",
        pii_detected=bool(data),
        pii_matches=tuple(
            PiiMatch(
                pii_type=f.type, start=f.start, end=f.end, confidence=f.confidence, severity=f.severity, family=f.family
            )
            for f in data
        ),
        injection_detected=bool(injections),
        injection_matches=tuple(
            InjectionMatch(
                injection_type=f.type,
                start=f.start,
                end=f.end,
                severity=f.severity,
                confidence=f.confidence,
                family=f.family,
            )
            for f in injections
        ),
        cache_hit=cache_hit,
        processing_time_ms=round(milliseconds, 3),
        injection_score=verdict.injection_score,
        decision=verdict.decision,
        would=verdict.would,
        reason=verdict.reason,
        truncated=verdict.truncated,
        rules_version=verdict.rules_version,
        engine=verdict.engine,
    )


def examination(said: ProcessAnswer, length: int) -> Examination:
    """What an answer says about a text of so many characters; what lies outside of it is cut, severities filled in."""
    found = [
        Finding(
            m.family if m.family in DATA_FAMILIES else "pii",
            _snake(m.pii_type),
            m.severity or _SEVERITIES.get(_snake(m.pii_type), "high"),
            "",
            min(m.start, length),
            min(max(m.start, m.end), length),
            m.confidence,
            "remote",
        )
        for m in said.pii_matches
    ]
    for hit in said.injection_matches:
        kind = _snake(hit.injection_type)
        family = hit.family or _FAMILIES.get(kind, "override")
        if family not in DATA_FAMILIES | {"classifier"}:
            start, end = min(hit.start, length), min(max(hit.start, hit.end), length)
            found.append(Finding(family, kind, hit.severity, "", start, end, hit.confidence, "remote"))
    if said.status == "blocked" and not found:
        found.append(Finding("remote", "blocked", "critical", "", 0, length, 1.0, "remote"))
    return Examination(tuple(found), said.injection_score or 0.0)


def known_types(ours: frozenset[str]) -> frozenset[str]:
    """The types that an answer may name: those of our rules, and those of the two descriptions of the contract."""
    return ours | _FAMILIES.keys() | _SEVERITIES.keys() | set(_SAME.values()) | _TYPES_WITHOUT_RULES


def _snake(name: str) -> str:
    """`CreditCard` and `credit_card` are the same kind; `SSN` is one word."""
    if "_" in name or name.isupper() or name.islower():
        return name.lower()
    parts = "".join(f"_{c}" if c.isupper() and i and not name[i - 1].isupper() else c for i, c in enumerate(name))
    return _SAME.get(parts.lower(), parts.lower())


_SAME = {
    "api_key": "generic_secret",
    "ipv4_address": "ipv4",
    "ipv6_address": "ipv6",
    "medical_record_number": "medical_record",
    "danvariant": "dan_variant",
}
_TYPES_WITHOUT_RULES = frozenset(
    (TOO_MUCH, "likely_injection", "blocked", "hidden_tags", "invisible_characters", "mixed_scripts")
)
_SEVERITIES: dict[str, Severity] = {
    "ssn": "critical",
    "credit_card": "critical",
    "email": "medium",
    "phone": "medium",
    "ipv4": "low",
    "ipv6": "low",
    "mac_address": "low",
    "drivers_license": "critical",
    "passport": "critical",
    "medical_record": "critical",
    "bank_account": "critical",
    "itin": "critical",
}
_FAMILIES = {
    "ignore_previous_instructions": "override",
    "new_instruction_injection": "override",
    "system_role_manipulation": "role",
    "dan_variant": "role",
    "role_playing_jailbreak": "role",
    "direct_prompt_extraction": "extraction",
    "indirect_prompt_extraction": "extraction",
    "memory_state_access": "extraction",
    "delimiter_injection": "delimiter",
    "command_injection": "command",
    "template_injection": "template",
    "data_exfiltration": "exfiltration",
    "nested_prompt": "encoded",
    "encoded_instruction": "encoded",
}
