"""What one execution of an agent is saying, redacted as it comes: deltas in, deltas out, numbered anew."""

from __future__ import annotations

from events.run import RunDelta
from screening.engine import Screener
from screening.redaction import StandIns
from screening.stream import StreamRedactor

PAUSE = 0.15
"""Seconds of silence after which what cannot be the beginning of a secret is let out."""


class Speech:
    """One token stream of a tenant's; its pieces are fed in their order, each text once."""

    def __init__(self, screener: Screener, tenant: str) -> None:
        self._screener = screener
        self._tenant = tenant
        self._stream: StreamRedactor | None = None
        self._last: RunDelta | None = None
        self._seq = self._offset = 0

    @property
    def waits(self) -> bool:
        """Whether something is held back that a pause may free."""
        return self._stream is not None and self._stream.holds

    def feed(self, delta: RunDelta) -> list[RunDelta]:
        """What may be said now that `delta` has come."""
        self._last = delta
        self._stream = self._stream or self._begun()
        return self._say(self._stream.feed(delta.text))

    def pause(self) -> list[RunDelta]:
        """What may be said after a pause, or before another fact."""
        return self._say(self._stream.idle()) if self._stream else []

    def end(self) -> list[RunDelta]:
        """What is left."""
        return self._say(self._stream.close()) if self._stream else []

    def skip(self, characters: int) -> None:
        """Leave a hole of so many characters: a hearer sees that something is missing."""
        self._offset += characters

    def _begun(self) -> StreamRedactor:
        how = self._screener.policy.profile(tenant=self._tenant, kind="output").redaction
        return StreamRedactor(self._screener, StandIns(how, digest=self._screener.digest(self._tenant)))

    def _say(self, text: str) -> list[RunDelta]:
        if not text or self._last is None:
            return []
        self._seq += 1
        said = self._last.model_copy(update={"seq": self._seq, "offset": self._offset, "text": text})
        self._offset += len(text)
        return [said]
