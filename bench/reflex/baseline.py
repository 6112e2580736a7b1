"""The other two: requirements 000.3's patterns read plainly, and Presidio's pattern recognisers without a model."""

from __future__ import annotations

import re
from collections.abc import Callable

import tldextract
from presidio_analyzer import predefined_recognizers as presidio

from screening.validators.payment import card

Span = tuple[str, int, int]
Finder = Callable[[str], list[Span]]

_PII: dict[str, str] = {
    "ssn": r"\b\d{3}-\d{2}-\d{4}\b|\b\d{9}\b",
    "credit_card": r"\b(?:4\d{3}|5[1-5]\d{2}|3[47]\d{2}|6011|65\d{2})(?:[ -]?\d{4}){2}[ -]?\d{1,7}\b",
    "email": r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
    "phone": r"(?:\+?1[ .-]?)?\(?\d{3}\)?[ .-]?\d{3}[ .-]?\d{4}\b",
    "ip": r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b",
}
_INJECTION: tuple[str, ...] = (
    (
        r"(?:ignore|disregard|forget|override)\s+(?:all\s+|the\s+|any\s+)*(?:previous|above|prior|earlier|below)"
        r"|(?:ignore|disregard|forget|override)\s+(?:\w+\s+){0,3}(?:instructions?|prompts?|commands?|guidelines?)"
    ),
    r"(?:now|from now on|henceforth|starting now),?\s+(?:you are|act as|your task is)",
    r"(?:pretend you are|act as|you are now)\s+(?:\w+\s+){0,3}(?:unrestricted|ai|bot|robot|human|assistant)",
    r"\bDAN\b|do anything now|no restrictions|(?:unrestricted|jailbreak|developer|god|admin) mode",
    r"(?:show|reveal|what is)\s+(?:\w+\s+){0,3}(?:prompt|instructions|configuration|guidelines)",
    r"(?:explain|describe|what are)\s+(?:\w+\s+){0,2}your\s+(?:rules|programming|limitations|capabilities)",
    r"</system>|</prompt>|</context>|<!--\s*end|:::end:::|\[END\]",
    r"\$\(.+?\)|`.+?`|&&|\|\||;\s*(?:rm|curl|wget)",
    r"\{\{.*?\}\}|\{%.*?%\}|\$\{.*?\}|<%.*?%>",
    r"(?:send|email|post|upload)\s+(?:\w+\s+){0,3}(?:data|history|logs)|https?://|mailto:",
)
_CRITICAL = 4
_ENTITIES = {
    "CREDIT_CARD": "credit_card", "EMAIL_ADDRESS": "email", "IBAN_CODE": "iban", "IP_ADDRESS": "ip",
    "US_SSN": "ssn", "PHONE_NUMBER": "phone",
}  # fmt: skip


def plain_pii() -> Finder:
    """The patterns of 000.3 for the six measured types; IBAN has none there."""
    compiled = {kind: re.compile(pattern) for kind, pattern in _PII.items()}

    def find(text: str) -> list[Span]:
        found = [(kind, *m.span(), m.group()) for kind, p in compiled.items() for m in p.finditer(text)]
        return [(kind, a, b) for kind, a, b, match in found if kind != "credit_card" or card(match)]

    return find


def presidio_patterns() -> Finder:
    """Presidio's recognisers of the six types, each with its own score threshold of 0.4 as its analyzer suggests."""
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())  # its snapshot: no network
    recognisers = [
        presidio.CreditCardRecognizer(), presidio.EmailRecognizer(), presidio.IbanRecognizer(),
        presidio.IpRecognizer(), presidio.UsSsnRecognizer(), presidio.PhoneRecognizer(),
    ]  # fmt: skip

    def find(text: str) -> list[Span]:
        results = [r for one in recognisers for r in one.analyze(text, one.supported_entities, None) or []]
        return [(_ENTITIES[r.entity_type], r.start, r.end) for r in results if r.score >= 0.4]

    return find


def plain_injection() -> Callable[[str], tuple[bool, bool]]:
    """Whether any Standard pattern of 000.3 matches, and whether a Critical one does (context lowering left out)."""
    compiled = [re.compile(pattern, re.IGNORECASE) for pattern in _INJECTION]

    def judge(text: str) -> tuple[bool, bool]:
        hits = [pattern.search(text) is not None for pattern in compiled]
        return any(hits), any(hits[:_CRITICAL])

    return judge
