"""Placeholders that stay the same for the same value, and what they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

_LONGEST = 48
"""Characters of a name; what is longer in brackets is none of ours."""


class Placeholders:
    """Names by value: the first e-mail address becomes `[EMAIL_1]`, and so does each repetition of it.

    `known` are names given before, by what `tag` makes of kind and value: a session's own numbers go on from there.
    """

    def __init__(self, known: Mapping[str, str] | None = None, tag: Callable[[str, str], str] | None = None) -> None:
        self._known = known or {}
        self._tag = tag
        self._names: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        for name in self._known.values():
            self._is_taken(name)

    def name(self, kind: str, value: str) -> str:
        """The placeholder of one value, in brackets as it stands in a text."""
        key = (kind.upper(), value)
        found = self._names.get(key)
        if found is None:
            found = self._names[key] = self._given(*key) or self._next(key[0])
        return f"[{found}]"

    def spare(self, text: str) -> None:
        """Give no value a name that stands in the text already: it is quoted, and means what it meant."""
        for part in text.split("[")[1:]:
            name, bracket, _ = part[:_LONGEST].partition("]")
            if bracket:
                self._is_taken(name)

    def values(self) -> dict[str, str]:
        """What each placeholder (without brackets) stands for: to be sealed at once, never to be kept or logged."""
        return {name: value for (_, value), name in self._names.items()}

    def _is_taken(self, name: str) -> None:
        kind, _, number = name.rpartition("_")
        if number.isascii() and number.isdecimal():
            self._counts[kind] = max(self._counts.get(kind, 0), int(number))

    def _given(self, kind: str, value: str) -> str | None:
        return self._known.get(self._tag(kind, value)) if self._tag else None

    def _next(self, kind: str) -> str:
        number = self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"{kind}_{number}"
