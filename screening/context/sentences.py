"""Cues near a match: only those in the same sentence count, and only as whole words."""

from __future__ import annotations

from screening.context.hearers import for_others
from screening.context.notation import in_notation
from screening.matching.pattern import Pattern

_REACH = 240
_ENDS = (b". ", b"! ", b"? ", b"\n", *(mark.encode() for mark in "\u3002\uff01\uff1f\u0964"))
_QUOTES = ((b'"', b'"'), (b"'", b"'"), (b"`", b"`"), ("“".encode(), "”".encode()), ("«".encode(), "»".encode()))

_MENTION = Pattern(
    r"(?i)\b(?:"
    r"(?:the|a|an|this|following|literal)\s+(?:phrase|words?|string|sentence|expression|text|pattern|keyword|term)s?"
    r"|phrases? (?:like|such as)|such as|prompts? (?:like|such as)"
    r"|(?:prompt|jailbreak) (?:injections?|attacks?|attempts?)"
    r"|detect(?:s|ing|ion)?|classif(?:y|ies|ier|ication)|unit tests?|test case"
    r"|blog post|article|essay|research paper|meaning of|what does|explain why"
    r"|how (?:do|can|does|should) (?:i|we|one|you|models?|llms?|attackers?)"
    r" (?:prevent|stop|detect|defend|handle|protect)"
    r"|(?:write|create|generate|implement|build|design|develop) (?:a|an|the|some) (?:\w+ ){0,3}"
    r"(?:program|script|function|class|regex|code|story|novel|scene|poem|dialogue)"
    r")\b"
)
# Only words that leave the order forbidden may stand between: "do not forget to", "never just" order it all the same.
_NEGATION = Pattern(
    r"(?i)\b(?:do not|don't|dont|never|should not|shouldn't|must not|mustn't|avoid|without|cannot|can't|not to)\s+"
    r"(?:(?:ever|even|blindly|directly|knowingly|accidentally|dare)\s+)?"
    r"(?:(?:try|attempt|want|wish|have|need|be \w+|let \w+|allow \w+|ask \w+|tell \w+|make \w+)\s+(?:to\s+)?)?$"
)
_WORD = Pattern(r"[\pL\pN]")


def sentence(text: bytes, start: int, end: int) -> tuple[int, int]:
    """Where the surrounding text begins and ends, in bytes, at most 240 either way."""
    low, high = max(0, start - _REACH), min(len(text), end + _REACH)
    first = max(low, *(found + len(mark) for mark in _ENDS if (found := text.rfind(mark, low, start)) >= 0), low)
    last = min(high, *(found for mark in _ENDS if (found := text.find(mark, end, high)) >= 0), high)
    return first, last


def excused(text: bytes, start: int, end: int) -> bool:
    """Whether the sentence talks about the match rather than means it: mentioned, quoted, forbidden, or for others."""
    first, last = sentence(text, start, end)
    if _MENTION.found(text, first, start) or _forbidden(text[first:start]):
        return True
    if _quoted(text[first:start].rstrip(), text[end:last]):
        return True
    return in_notation(text, start, end) or for_others(text, (start, end), (first, last))


def _forbidden(before: bytes) -> bool:
    """Whether these words forbid what follows; they are a text by themselves, because RE2's `$` is a text's end."""
    return _NEGATION.found(before)


def _quoted(before: bytes, after: bytes) -> bool:
    """Whether the sentence quotes what is between; what is nothing but quoted is said, not quoted."""
    for opening, closing in _QUOTES:
        if before.endswith(opening) and closing in after:
            rest = after.partition(closing)[2]
            return _WORD.found(before[: -len(opening)]) or _WORD.found(rest)
    return False
