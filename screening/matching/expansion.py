"""What a pattern can match, written out: the strings of its alternatives, or strings of which one is in any match."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import product

from screening.matching.syntax import end_of, flattened, split

_MOST = 400
SHORTEST = 4
_TELLING = 12
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_EDGE, _TAIL, _SOME, _REST = "\x00", "\x01", "\x02", "\x03"
_MARKS = {"\\b": _EDGE, "\\w*": _TAIL, "\\w+": _SOME, "\\S*": _REST}
_ENDINGS = ("", _EDGE, _TAIL, _TAIL + _EDGE, _SOME, _SOME + _EDGE, _REST)
_PLAIN = frozenset(" ,:;!'\"/<>@#%&=~_`-")


class EndlessError(ValueError):
    """The pattern matches too many strings to write out, or is made of something not understood here."""


@dataclass(frozen=True, slots=True)
class Wording:
    """ASCII in small letters that a pattern matches in any case.

    There must be a word boundary before and after it, or a word character must follow (`goes_on`).
    """

    text: str
    edge_before: bool = False
    edge_after: bool = False
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Alternative:
    """One alternative of a pattern: all its wordings, or else the pattern itself.

    Of a pattern `required` are strings of which one is in any match, or None when there are none to rely on.
    """

    wordings: tuple[Wording, ...] = ()
    pattern: str = ""
    required: frozenset[str] | None = None


def alternatives(pattern: str) -> list[Alternative]:
    """The alternatives of a pattern of RE2, in order."""
    folded, bodies = _bodies(pattern)
    return [_alternative(one, folded=folded) for one in bodies] if bodies else [Alternative(pattern=pattern)]


def wordings(pattern: str) -> Iterator[Wording]:
    """What can be written out of a pattern of RE2: the wordings of its alternatives."""
    folded, bodies = _bodies(pattern)
    for body in bodies:
        if body.isascii():
            with suppress(EndlessError):
                yield from _worded(body, folded=folded)


def _bodies(pattern: str) -> tuple[bool, list[str]]:
    """Whether case is nothing, and the alternatives; none of a pattern with flags of its own inside."""
    folded = pattern.startswith("(?i)")
    body = pattern.replace("|(?i)", "|")[4:] if folded else pattern
    return folded, [] if "(?" in body.replace("(?:", "") else list(flattened(body))


def _alternative(body: str, *, folded: bool) -> Alternative:
    try:
        return Alternative(_worded(body, folded=folded))
    except EndlessError:
        return Alternative(pattern=f"(?i){body}" if folded else body, required=_required(body))


def _worded(body: str, *, folded: bool) -> tuple[Wording, ...]:
    found = tuple(one for one in map(_wording, _strings(body)) if one)
    if not folded and any(one.text != one.text.upper() for one in found):
        raise EndlessError(body)  # it is told in any case
    return found


def _atoms(part: str) -> Iterator[tuple[str, str]]:
    """Each character, escape, class, group or mark of a sequence, and how often: once, `?`, or something else."""
    position = 0
    while position < len(part):
        mark = next((mark for mark in _MARKS if part.startswith(mark, position)), None)
        end = position + len(mark) if mark else end_of(part, position)
        atom, often = part[position:end], part[end : end + 1]
        if often == "{":
            end = part.index("}", end) + 1
        elif often and often in "?*+":
            end += 1
        else:
            often = ""
        if mark and often == "?":
            often = ""  # as few as will do: still as many as there are
        elif often and part[end : end + 1] == "?":
            end, often = end + 1, "*" if often != "+" else often
        yield atom, often
        position = end


def _strings(body: str) -> list[str]:
    """All strings of a pattern, with marks for what is beside them."""
    result = [text for part in split(body) for text in _of_sequence(part)]
    return _few(result)


def _of_sequence(part: str) -> list[str]:
    strings = [""]
    for atom, often in _atoms(part):
        strings = _few([a + b for a, b in product(strings, _choices(atom, often))])
    return strings


def _few(strings: list[str]) -> list[str]:
    if len(strings) > _MOST:
        raise EndlessError(strings[0])
    return strings


def _choices(atom: str, often: str) -> list[str]:
    if often not in ("", "?"):
        raise EndlessError(atom)
    choices = [_MARKS[atom]] if atom in _MARKS else _of_atom(atom)
    return ["", *choices] if often else choices


def _of_atom(atom: str) -> list[str]:
    if atom.startswith("(?:"):
        return _strings(atom[3:-1])
    if atom[0] == "[" and atom[1] != "^" and "\\" not in atom and "-" not in atom[2:-2]:
        return list(atom[1:-1])
    if atom[0] == "\\" and not atom[1].isalnum():
        return [atom[1]]
    if len(atom) == 1 and (atom.isalnum() or atom in _PLAIN or not atom.isascii()):
        return [atom]
    raise EndlessError(atom)


def _wording(text: str) -> Wording | None:
    """The string without its marks; None when its boundaries contradict it."""
    before = text.startswith(_EDGE)
    inner = text.lstrip(_EDGE)
    bare = inner.rstrip(_EDGE + _TAIL + _SOME + _REST)
    ending = inner[len(bare) :]
    kept = bare.replace(_EDGE, "")
    if len(kept) < SHORTEST or not kept.isascii() or ending not in _ENDINGS or any(m in bare for m in "\x01\x02\x03"):
        raise EndlessError(text)
    if (before and kept[0] not in _WORD) or (_EDGE in ending and kept[-1] not in _WORD):
        raise EndlessError(text)
    edges = (number for number, char in enumerate(bare) if char == _EDGE)
    if any((bare[number - 1] in _WORD) == (bare[number + 1] in _WORD) for number in edges):
        return None
    return Wording(kept.lower(), before, ending == _EDGE, ending.startswith(_SOME))


def _required(body: str) -> frozenset[str] | None:
    """ASCII strings of some length of which one is in any match, whatever its case."""
    found: set[str] = set()
    for part in split(body):
        best = max(_candidates(part), key=lambda texts: (min(map(len, texts)), -len(texts)), default=None)
        if best is None:
            return None
        found |= best
    return frozenset(found)


def _candidates(part: str) -> Iterator[frozenset[str]]:
    """For each stretch of a sequence that can be written out its strings, if none of them is short."""
    run = [""]
    for atom, often in _atoms(part):
        try:
            choices = _choices(atom, often)
            run = _few([a + b for a, b in product(run, choices)])
            continue
        except EndlessError:
            yield from _relied_on(run)
        run = [""]
        if often in ("", "+") and atom.startswith("(?:"):
            inner = _required(atom[3:-1])
            if inner is not None:
                yield inner
    yield from _relied_on(run)


def _relied_on(run: list[str]) -> Iterator[frozenset[str]]:
    marks = str.maketrans(dict.fromkeys((_TAIL, _SOME, _REST), "\n") | {_EDGE: ""})
    texts = frozenset(max(text.translate(marks).split("\n"), key=len).lower() for text in run)
    if all(len(text.strip()) >= SHORTEST - 1 and len(text) >= SHORTEST and text.isascii() for text in texts):
        yield _least(texts)


def _least(texts: frozenset[str]) -> frozenset[str]:
    """Without what is more than is needed to tell: ends of long strings, and strings in which another one is."""
    kept: list[str] = []
    for text in sorted({text[:_TELLING] for text in texts}, key=len):
        if not any(other in text for other in kept):
            kept.append(text)
    return frozenset(kept)
