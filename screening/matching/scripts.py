"""Which alternatives of a pattern can match plain ASCII, and which never do: most texts need not be read for those."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from screening.matching.syntax import end_of, flattened, split

_ALIKE = ("\u017f", "k")
"""Letters that are an s and a k when case is nothing."""


@cache
def apart(pattern: str) -> tuple[str | None, str | None]:
    """The pattern of RE2 in two: what may match ASCII, and what never does; None where there is nothing of it."""
    flags = "(?i)" if pattern.startswith("(?i)") else ""
    body = pattern[len(flags) :].replace(f"|{flags}", "|")
    if pattern.isascii() or "(?" in body.replace("(?:", ""):
        return pattern, None
    parts: tuple[list[str], list[str]] = ([], [])
    for alternative in flattened(body):
        parts[is_foreign(alternative)].append(alternative)
    native, foreign = (flags + "|".join(part) if part else None for part in parts)
    return native, foreign


def is_foreign(pattern: str) -> bool:
    """Whether every match certainly has a character in it that is not ASCII."""
    return all(any(map(_is_foreign_atom, _required(part))) for part in split(pattern))


def _is_foreign_atom(atom: str) -> bool:
    if atom.startswith("(?:"):
        return is_foreign(atom[3:-1])
    return len(atom) == 1 and not atom.isascii() and atom.lower() not in _ALIKE


def _required(part: str) -> Iterator[str]:
    """Each character, escape, class or group of a sequence that cannot be left out."""
    position = 0
    while position < len(part):
        end = end_of(part, position)
        if part[end : end + 1] not in ("?", "*", "{"):
            yield part[position:end]
        position = end
