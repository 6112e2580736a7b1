"""What stands in a text where data was redacted: a placeholder, asterisks, a keyed hash, a part of it, or nothing."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable

from screening.digest import own_digest
from screening.kinds import DATA_TYPES, SECRETS
from screening.model import Finding
from screening.placeholders import Placeholders
from screening.policy import Redaction

Digest = Callable[[str, str], str]
"""Of a kind and a value, in hexadecimal: the same for the same, and nobody without the key can guess values by it."""

_STAR = "*"
_SECRET = _STAR * 8
"""How long a secret is tells something of it."""
_GAPS = frozenset(" -.+()")
_DIGITS = frozenset(string.digits)
_ALPHANUMERIC = _DIGITS | frozenset(string.ascii_letters)
_LAST = {"credit_card": (4, 13), "iban": (4, 15), "bank_account": (4, 8), "phone": (2, 7)}
"""Of which numbers how many marks are shown, the last ones, if there are how many at least."""


class StandIns:
    """Says what to put for each value as the policy has it; `names` are the session's placeholders.

    Without a `digest` hashes are this process's own.
    """

    def __init__(
        self, how: Redaction | None = None, names: Placeholders | None = None, digest: Digest | None = None
    ) -> None:
        self._how = how or Redaction()
        self.names = names or Placeholders()
        self._digest = digest or own_digest

    def of(self, kind: str, value: str) -> str:
        """What stands for one value of a kind."""
        strategy = self._how.of(kind)
        if strategy == "token":
            return self.names.name(kind, value)
        if strategy == "remove":
            return ""
        if strategy == "hash":
            return f"[{kind.upper()}#h{self._digest(kind, value)}]"
        return (_part(kind, value) if strategy == "partial" else None) or _masked(kind, value)


def replace(text: str, findings: Iterable[Finding], instead: StandIns) -> str:
    """`text` with each finding's span replaced; what two of them share is the first's, and the rest the second's."""
    parts: list[str] = []
    position = 0
    for finding in sorted(findings, key=lambda found: (found.start, found.end)):
        first = max(finding.start, position)
        if finding.end <= first:
            continue
        parts += (text[position:first], instead.of(finding.type, text[first : finding.end]))
        position = finding.end
    parts.append(text[position:])
    return "".join(parts)


def _masked(kind: str, value: str) -> str:
    """Of a kind that is none of ours, nobody knows that it is no secret."""
    return _STAR * len(value) if kind in DATA_TYPES - SECRETS else _SECRET


def _part(kind: str, value: str) -> str | None:
    """A little of the value that identifies nobody, the rest in asterisks; None for kinds that have no such part.

    Only of a value that stands there plainly: of one in base64 the last four characters are not its last four digits.
    """
    if kind in _LAST:
        marks = _ALPHANUMERIC if kind == "iban" else _DIGITS
        return _last(value, marks, *_LAST[kind])
    if kind == "email":
        local, _, domain = value.rpartition("@")
        plain = local and "." in domain and all(char in _ALPHANUMERIC or char in "-." for char in domain)
        return f"{_STAR * len(local)}@{domain}" if plain else None
    if kind == "ipv4":
        first, *others = value.split(".")
        return ".".join([first, *(_STAR * len(others))]) if len(others) == 3 and _DIGITS.issuperset(first) else None
    return None


def _last(value: str, marks: frozenset[str], shown: int, least: int) -> str | None:
    """The last of the marks, the others as asterisks, what stands between them as it is."""
    hidden = sum(char in marks for char in value) - shown
    if hidden < least - shown or not all(char in marks or char in _GAPS for char in value):
        return None
    result: list[str] = []
    for char in value:
        result.append(_STAR if char in marks and hidden > 0 else char)
        hidden -= char in marks
    return "".join(result)
