"""Redaction of a token stream: what may still become a secret is held back, what is held back is bounded."""

from __future__ import annotations

from screening.engine import Screener
from screening.readings import DATA_FAMILIES
from screening.redaction import Placeholders

HOLD = 128
_BREAKS = frozenset(" \t\n\r")
_LOOK_BACK = 256


class StreamRedactor:
    """Redacts text that arrives in pieces cut anywhere; one per stream, not for sharing.

    At most `HOLD` characters are held back, unless a secret that has been recognised is still going on: its rest is
    swallowed until it ends. The caller flushes when nothing has come for 150 ms by calling `idle`, which lets out
    what cannot be the beginning of anything.
    """

    def __init__(self, screener: Screener) -> None:
        self._screener = screener
        self._names = Placeholders()
        self._held = ""
        self._sent = ""
        self._open = False

    def feed(self, piece: str) -> str:
        """The text that may be shown now that `piece` has come."""
        if self._open:
            piece = self._rest_of_secret(piece)
        self._held += piece
        return self._release(max(0, len(self._held) - HOLD))

    def idle(self) -> str:
        """After a pause: everything up to the word that is being written."""
        cut = max((self._held.rfind(char) for char in _BREAKS), default=-1) + 1
        return self._release(cut if len(self._held) - cut <= HOLD else len(self._held) - HOLD)

    def close(self) -> str:
        """The end of the stream: all that is left."""
        return self._release(len(self._held))

    def _rest_of_secret(self, piece: str) -> str:
        end = next((i for i, char in enumerate(piece) if char in _BREAKS), None)
        self._open = end is None
        return "" if end is None else piece[end:]

    def _release(self, upto: int) -> str:
        """Let out the first `upto` held characters, or fewer when a finding or a word would be cut."""
        if upto <= 0:
            return ""
        context = self._sent[-_LOOK_BACK:]
        shift = len(context)
        final = upto == len(self._held)
        parts: list[str] = []
        position = 0
        for start, end, kind in self._spans(context + self._held):
            first, last = start - shift, end - shift
            if last <= position:
                continue
            if first >= upto:
                break
            first = max(first, position)
            parts += (self._held[position:first], self._names.name(kind, self._held[first:last]))
            position = last
            self._open = not final and last == len(self._held)
        upto = max(position, upto if final else self._word_start(upto, position))
        parts.append(self._held[position:upto])
        self._sent = (self._sent + self._held[:upto])[-_LOOK_BACK:]
        self._held = self._held[upto:]
        return "".join(parts)

    def _word_start(self, upto: int, least: int) -> int:
        """Where the word around `upto` begins; a word longer than the hold is let go, it has been looked at."""
        for index in range(upto, least, -1):
            if self._held[index - 1] in _BREAKS:
                return index
        return upto if len(self._held) > 2 * HOLD else least

    def _spans(self, text: str) -> list[tuple[int, int, str]]:
        found = self._screener.data_findings(text)
        return sorted((f.start, f.end, f.type) for f in found if f.family in DATA_FAMILIES)
