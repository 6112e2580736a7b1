"""Marks that look smuggled and belong to the notation of the file they stand in."""

from __future__ import annotations

from screening.matching.pattern import Pattern

_LINE = 160
_BEHIND_KEY = Pattern(r"(?:^|\n)[ \t]*(?:- )?[\w.-]{1,60}:[ \t]*[\"']?\$$")
_SECRET = Pattern(r"^\{\{[ \t]*secrets?$")
_ONE_NAME = Pattern(r"^\.\w{1,60}[ \t]*\}\}[\"']?[ \t]*(?:\n|$)")
_TYPED = Pattern(r"(?i)^</userinput>$")
_OPENED = Pattern(r"(?i)<userinput>[^<]*$")
_FIRST_OF_TWO = Pattern(r"(?i)\bbetween [`\"']?<\w+>[`\"']? and [`\"']?$")


def in_notation(text: bytes, start: int, end: int) -> bool:
    """Whether it is a workflow's reference to a secret, a link, DocBook's mark-up of what is typed, or a tag named."""
    match, before = text[start:end], text[max(0, start - _LINE) : start]
    if match.startswith(b"{{"):
        return _SECRET.found(match) and _BEHIND_KEY.found(before) and _ONE_NAME.found(text[end : end + _LINE])
    if match.startswith(b"</"):
        return (_TYPED.found(match) and _OPENED.found(before)) or _FIRST_OF_TWO.found(before)
    return match.endswith(b"]") and text[end : end + 5] == b"(http"
