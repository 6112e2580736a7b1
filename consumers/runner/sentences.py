"""The sentences of a text, and the words of a sentence that carry meaning."""

import re
from collections.abc import Iterator

_MIN_WORD = 3
_END = re.compile(r"[.!?](?!\S)|[\n。！？]")  # noqa: RUF001  # they are the full-width ones
_WORD = re.compile(r"[\w'-]+")

_COMMON = frozenset(
    """a about after all also an and any are as at be because been before but by can could did do does for from had has
    have he her his how i if in into is it its just like may me more most must my no not of on one only or other our
    out over please shall she should so some such than that the their them then there these they this those to two up
    us was we were what when where which while who will with would you your""".split()  # noqa: SIM905  # a list reads worse
)


def sentences_of(text: str) -> Iterator[str]:
    """The sentences of a text; a line break ends one too."""
    start = 0
    for end in _END.finditer(text):
        if sentence := text[start : end.end()].strip():
            yield sentence
        start = end.end()
    if sentence := text[start:].strip():
        yield sentence


def words_of(sentence: str) -> Iterator[str]:
    """The words that carry meaning, in lower case."""
    for word in _WORD.findall(sentence.lower().replace("_", " ")):
        bare = word.strip("-'")
        if len(bare) >= _MIN_WORD and bare not in _COMMON:
            yield bare
