"""Replace what was found by placeholders that stay the same for the same value, and keep what they stand for."""

from __future__ import annotations

from collections.abc import Iterable

from screening.model import Finding


class Placeholders:
    """Names by value: the first e-mail address becomes `[EMAIL_1]`, and so does each repetition of it."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    def name(self, kind: str, value: str) -> str:
        """The placeholder of one value, in brackets as it stands in a text."""
        found = self._names.get((kind, value))
        if found is None:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            found = self._names[kind, value] = f"{kind.upper()}_{number}"
        return f"[{found}]"

    def values(self) -> dict[str, str]:
        """What each placeholder (without brackets) stands for: to be sealed at once, never to be kept or logged."""
        return {name: value for (_, value), name in self._names.items()}


def replace(text: str, findings: Iterable[Finding], names: Placeholders) -> str:
    """`text` with each finding's span replaced; findings are of this text and do not overlap."""
    parts: list[str] = []
    position = 0
    for finding in sorted(findings, key=lambda item: item.start):
        if finding.start < position:
            continue
        parts += (text[position : finding.start], names.name(finding.type, text[finding.start : finding.end]))
        position = finding.end
    parts.append(text[position:])
    return "".join(parts)
