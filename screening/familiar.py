"""Texts that were read a moment ago and held nothing: what only quotes them need not be read again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

from screening.fields import DOUBT
from screening.model import Examination

_MOST = 4_096
_SHORTEST, _LONGEST = 24, 20_000


class Familiar:
    """Remembers the last 4,096 harmless texts of this process by keyed digest; the texts themselves are not kept.

    Only texts without findings, in company that gave no doubt of an injection. Shorter and longer ones than are worth
    a digest are never known. Safe to share between threads.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._key = os.urandom(16)
        self._scores: dict[bytes, float] = {}

    def split(self, fields: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Examination], dict[str, str]]:
        """What has to be read (each text once), what is in the texts that are known, and which field says the same
        as which other.
        """
        fresh: dict[str, str] = {}
        known: dict[str, Examination] = {}
        same: dict[str, str] = {}
        first: dict[str, str] = {}
        for field, text in fields.items():
            earlier = first.setdefault(text, field)
            if earlier is not field:
                same[field] = earlier
            elif (score := self._score(text)) is not None:
                known[field] = Examination((), score)
            else:
                fresh[field] = text
        return fresh, known, same

    def remember(self, texts: Mapping[str, str], examined: Mapping[str, Examination]) -> None:
        """Take note of texts that were read together, if all of them are harmless."""
        score = max((what.score for what in examined.values()), default=0.0)
        if score >= DOUBT or any(what.findings for what in examined.values()):
            return
        for text in texts.values():
            if _SHORTEST <= len(text) <= _LONGEST:
                self._scores[self._digest(text)] = score
        while len(self._scores) > self._most:
            self._scores.pop(next(iter(self._scores)), None)

    def _score(self, text: str) -> float | None:
        return self._scores.get(self._digest(text)) if _SHORTEST <= len(text) <= _LONGEST else None

    def _digest(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key).digest()
