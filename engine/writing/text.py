"""Plain text as the writers read it: statements, the words that carry meaning, and how much two share."""

import re
from collections.abc import Iterator

_COMMON = frozenset(
    """a about all also an and any are as at be been but by can could do does for from had has have how i if in into is
    it its let make may me more most must my need needs no not of on one only or our out please shall should so some
    such than that the their them then there these they this those to up us want was we were what when where which
    while who will with would you your""".split()  # noqa: SIM905  # a list reads worse
)
_FENCE = re.compile(r"^\s*(```|~~~)")
_BULLET = re.compile(r"^\s*(?:[-*•+]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?")
_HEADING = re.compile(r"^\s*#{1,6}\s+")
_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?\w)")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|approx|no|fig|st|mr|ms|dr)\.$", re.IGNORECASE)
_WORD = re.compile(r"[^\W_][\w'-]*")
_OPENING = re.compile(
    r"^(?:please[,]?\s+|(?:i|we)(?:'d| would)? (?:want|like|need)(?: you)?(?: to(?= \w))?\s+|could you\s+|can you\s+)+",
    re.IGNORECASE,
)
_MIN_WORD = 3
_SUFFIXES = ("ations", "ation", "ings", "ing", "ers", "ies", "ed", "es", "er", "s")
_TITLE = 80


def statements_of(text: str) -> list[str]:
    """The sentences and bullet points of a text in order; headings and fenced code are not statements."""
    return [statement for line in _lines(text) for statement in _sentences(line) if _WORD.search(statement)]


def _lines(text: str) -> Iterator[str]:
    """Paragraphs put together again, each bullet for itself."""
    paragraph: list[str] = []
    fenced = False
    for line in text.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
            continue
        is_bullet = bool(_BULLET.match(line))
        if fenced or is_bullet or not line.strip() or _HEADING.match(line):
            if paragraph:
                yield " ".join(paragraph)
            paragraph = [_BULLET.sub("", line).strip()] if is_bullet and not fenced else []
            continue
        paragraph.append(line.strip())
    if paragraph:
        yield " ".join(paragraph)


def _sentences(line: str) -> Iterator[str]:
    start = 0
    for end in _END.finditer(line):
        if not _ABBREVIATION.search(line[start : end.start()]):
            yield line[start : end.start()].strip()
            start = end.end()
    if line[start:].strip():
        yield line[start:].strip()


def sentence(text: str) -> str:
    """A statement as a sentence of its own: without `please` and `we want`, capital first, a full stop last."""
    bare = _OPENING.sub("", " ".join(text.split())).strip(" ,;:")
    if not bare:
        bare = " ".join(text.split())
    bare = bare[:1].upper() + bare[1:]
    return bare if bare.endswith((".", "!", "?")) else bare + "."


def words_of(text: str) -> frozenset[str]:
    """The words that carry meaning, in lower case and without their commonest endings."""
    return frozenset(
        _stem(word) for word in _WORD.findall(text.casefold()) if len(word) >= _MIN_WORD and word not in _COMMON
    )


def _stem(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _MIN_WORD:
            return word[: -len(suffix)]
    return word


def shared(one: str, other: str) -> float:
    """How much two texts speak of the same: shared words over all words, 0 to 1."""
    mine, theirs = words_of(one), words_of(other)
    return len(mine & theirs) / len(mine | theirs) if mine and theirs else 0.0


def covered(part: str, whole: str) -> float:
    """How much of `part`'s words `whole` has, 0 to 1."""
    mine = words_of(part)
    return len(mine & words_of(whole)) / len(mine) if mine else 0.0


def title_of(text: str) -> str:
    """A short name for a text: its first statement, cut at a word."""
    first = next(iter(statements_of(text)), "Specification")
    bare = sentence(first).rstrip(".!?")
    return bare if len(bare) <= _TITLE else bare[:_TITLE].rpartition(" ")[0] + " …"


def quoted(text: str) -> str:
    """A text as a Markdown quotation."""
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())


def with_section(text: str, heading: str, lines: list[str]) -> str:
    """A Markdown text with the body below one `## heading` replaced; appended when it has no such heading."""
    kept, inside, done = list[str](), False, False
    for line in text.splitlines():
        if line.startswith("## "):
            inside = line.strip() == f"## {heading}"
            if inside:
                kept += [f"## {heading}", "", *lines, ""]
                done = True
        if not inside:
            kept.append(line)
    if not done:
        kept += ["", f"## {heading}", "", *lines]
    return "\n".join(kept).rstrip()
