"""Redaction of a token stream: what may still become a secret is held back, what is held back is bounded."""

from __future__ import annotations

from collections.abc import Iterator

from screening.engine import Screener
from screening.matching.pattern import Pattern
from screening.model import TOO_MUCH, Finding
from screening.readings import DATA_FAMILIES
from screening.redaction import StandIns

HOLD = 128
"""Characters held back at most, unless they belong to a secret that is still being written."""
WITHHELD = "[WITHHELD]"

_STEP = 32
_LOOK_BACK = 256
_LONGEST = 1 << 16
_MANY_WORDS = 8
_SEPARATORS = " \t\n\r"

# What is longer than HOLD when it is complete, and no finding before: held from its beginning until it has ended.
_OPENING = Pattern(
    r"\beyJ[A-Za-z0-9_.-]{8,}$|\bsk-[A-Za-z0-9_-]{20,}$|\bv1\.0-[a-f0-9-]{24,}$"
    r"|(?i:\b[a-z][a-z0-9+]{1,24}://[^\s:/\"'<>]{0,64}:[^\s/\"'<>]*$)"
)

Span = tuple[int, int, str]


class StreamRedactor:
    """Redacts text that arrives in pieces cut anywhere; one per stream, not for sharing.

    All that it gives out together is what `redaction.replace` makes of the whole text, numbers of placeholders apart.
    The exception is a pause: the caller calls `idle` when nothing has come for 150 ms, and a word that only later
    text would have made suspicious is out by then. Of a secret longer than 64 KiB, and of what follows it, nothing
    is shown but `[WITHHELD]`.
    """

    def __init__(self, screener: Screener, instead: StandIns | None = None) -> None:
        self._screener = screener
        self._instead = instead or StandIns()
        self._held = ""
        self._shown = ""
        self._look_at = HOLD
        self._closed = False

    def feed(self, piece: str) -> str:
        """The text that may be shown now that `piece` has come."""
        self._held += "" if self._closed else piece
        if len(self._held) <= self._look_at:
            return ""
        return self._release(len(self._held) - HOLD + _STEP)

    def idle(self) -> str:
        """After a pause: everything that cannot be the beginning of a secret."""
        return self._release(self._doubtful_from())

    def close(self) -> str:
        """The end of the stream: all that is left."""
        return self._release(len(self._held), final=True)

    @property
    def holds(self) -> bool:
        """Whether anything is held back."""
        return bool(self._held)

    def _release(self, upto: int, *, final: bool = False) -> str:
        """Let out the first `upto` held characters: fewer where a secret is not complete, more where one ends later."""
        if not self._held or upto <= 0:
            return ""
        out: list[str] = []
        position = 0
        for start, end, kind in self._spans(final=final):
            first = max(start, position)
            if end <= position:
                continue
            if first >= upto:
                break
            if end == len(self._held) and not final:
                upto = first
                break
            shown = WITHHELD if kind == TOO_MUCH else self._instead.of(kind, self._held[first:end])
            out += (self._held[position:first], shown)
            position = end
        upto = max(position, upto)
        out.append(self._held[position:upto])
        self._shown = (self._shown + self._held[:upto])[-_LOOK_BACK:]
        self._held = self._held[upto:]
        self._look_at = max(HOLD, len(self._held) + max(_STEP, len(self._held) // 8))
        if len(self._held) > _LONGEST:
            self._closed, self._held = True, ""
            out.append(WITHHELD)
        return "".join(out)

    def _spans(self, *, final: bool) -> Iterator[Span]:
        """The secrets in what is held, those that may have begun last of all; places in `_held`."""
        shift = len(self._shown)
        text = self._shown + self._held
        found = self._screener.data_findings(text)
        spans = [
            (f.start - shift, len(self._held) if not final and _unended(text, f) else f.end - shift, f.type)
            for f in found
            if f.family in DATA_FAMILIES
        ]
        if any(f.type == TOO_MUCH for f in found):
            spans = [(0, len(self._held), TOO_MUCH)]
        if not final:
            raw = text.encode("utf-8", "replace")
            for begin, _ in _OPENING.spans(raw):
                place = len(raw[:begin].decode("utf-8", "ignore")) - shift
                spans.append((max(0, place), len(self._held), "secret"))
        yield from sorted(span for span in spans if span[1] > 0)

    def _doubtful_from(self) -> int:
        """Where the words begin that more text could complete to a number, an address or a token."""
        cut = len(self._held)
        plain = 0
        for _ in range(_MANY_WORDS):
            end = len(self._held[:cut].rstrip(_SEPARATORS))
            start = max(self._held.rfind(mark, 0, end) for mark in _SEPARATORS) + 1
            word = self._held[start:end]
            partial = end == len(self._held)
            plain = 0 if partial or _suspicious(word) else plain + 1
            if plain > 1 or not word:
                break
            cut = start
        return max(self._after_plain(cut), len(self._held) - HOLD)

    def _after_plain(self, cut: int) -> int:
        """Past the words at `cut` that are only held because of a number before them, when there is none."""
        while cut < len(self._held):
            end = next((i for i in range(cut, len(self._held)) if self._held[i] in _SEPARATORS), len(self._held))
            if end == len(self._held) or _suspicious(self._held[cut:end]):
                return cut
            cut = end + 1
        return cut


def _unended(text: str, found: Finding) -> bool:
    """Whether it is a key block whose last line has not come."""
    return found.type == "private_key" and "-----END" not in text[found.start : found.end]


def _suspicious(word: str) -> bool:
    """Whether more text could make it a part of something: digits, marks of addresses, capitals, rulers."""
    return word.isupper() or any(char.isdigit() or char in "@:=+" for char in word) or word.startswith("--")
