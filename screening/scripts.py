"""Which alternatives of a pattern can match plain ASCII, and which never do: most texts need not be read for those."""

from __future__ import annotations

from collections.abc import Iterator

_ALIKE = ("\u017f", "k")
"""Letters that are an s and a k when case is nothing."""


def apart(pattern: str) -> tuple[str | None, str | None]:
    """The pattern of RE2 in two: what may match ASCII, and what never does; None where there is nothing of it."""
    flags = "(?i)" if pattern.startswith("(?i)") else ""
    body = pattern[len(flags) :].replace(f"|{flags}", "|")
    if pattern.isascii() or "(?" in body.replace("(?:", ""):
        return pattern, None
    parts: tuple[list[str], list[str]] = ([], [])
    for alternative in _flattened(body):
        parts[is_foreign(alternative)].append(alternative)
    native, foreign = (flags + "|".join(part) if part else None for part in parts)
    return native, foreign


def is_foreign(pattern: str) -> bool:
    """Whether every match certainly has a character in it that is not ASCII."""
    return all(any(map(_is_foreign_atom, _required(part))) for part in _split(pattern))


def _is_foreign_atom(atom: str) -> bool:
    if atom.startswith("(?:"):
        return is_foreign(atom[3:-1])
    return len(atom) == 1 and not atom.isascii() and atom.lower() not in _ALIKE


def _required(part: str) -> Iterator[str]:
    """Each character, escape, class or group of a sequence that cannot be left out."""
    position = 0
    while position < len(part):
        end = _after(part, position)
        if part[end : end + 1] not in ("?", "*", "{"):
            yield part[position:end]
        position = end


def _flattened(body: str) -> Iterator[str]:
    """The alternatives of a pattern; those of a group that is all of one but for boundaries stand for it."""
    for part in _split(body):
        before = "\\b" if part.startswith("\\b(?:") else ""
        after = "\\b" if part.endswith(")\\b") else ""
        inner = part[len(before) : len(part) - len(after)]
        if inner.startswith("(?:") and _after(inner, 0) == len(inner):
            yield from (before + one + after for one in _flattened(inner[3:-1]))
        else:
            yield part


def _split(body: str) -> list[str]:
    """At the bars that are in no group and no class."""
    parts, start, position = [], 0, 0
    while position < len(body):
        if body[position] == "|":
            parts.append(body[start:position])
            start = position + 1
        position = _after(body, position)
    return [*parts, body[start:]]


def _after(body: str, position: int) -> int:
    """Where the character, escape, class or group that begins there has ended."""
    char = body[position]
    if char == "\\":
        return position + 2
    if char == "[":
        position += 3 if body[position + 1] == "^" else 2
        while body[position] != "]":
            position += 2 if body[position] == "\\" else 1
        return position + 1
    if char == "(":
        position += 1
        while body[position] != ")":
            position = _after(body, position)
    return position + 1
