"""Where the pieces of an RE2 pattern begin and end."""

from __future__ import annotations

from collections.abc import Iterator


def flattened(body: str) -> Iterator[str]:
    """The alternatives of a pattern; those of a group that is all of one but for boundaries stand for it."""
    for part in split(body):
        before = "\\b" if part.startswith("\\b(?:") else ""
        after = "\\b" if part.endswith(")\\b") else ""
        inner = part[len(before) : len(part) - len(after)]
        if inner.startswith("(?:") and end_of(inner, 0) == len(inner):
            yield from (before + one + after for one in flattened(inner[3:-1]))
        else:
            yield part


def split(body: str) -> list[str]:
    """At the bars that are in no group and no class."""
    parts, start, position = [], 0, 0
    while position < len(body):
        if body[position] == "|":
            parts.append(body[start:position])
            start = position + 1
        position = end_of(body, position)
    return [*parts, body[start:]]


def end_of(body: str, position: int) -> int:
    """Where the character, escape, class or group that begins there has ended."""
    char = body[position]
    if char == "\\":
        return _end_of_escape(body, position)
    if char == "[":
        position += 3 if body[position + 1] == "^" else 2
        while body[position] != "]":
            position += 2 if body[position] == "\\" else 1
        return position + 1
    if char == "(":
        position += 1
        while body[position] != ")":
            position = end_of(body, position)
    return position + 1


def _end_of_escape(body: str, position: int) -> int:
    letter, brace = body[position + 1], body[position + 2 : position + 3] == "{"
    if letter in "xpP":
        return body.index("}", position) + 1 if brace else position + (4 if letter == "x" else 3)
    return position + 2
