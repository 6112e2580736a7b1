"""Examinations remembered for long texts; the store is handed in, and holds nothing that was written by anyone.

A key is an HMAC of whose the text is, the text as it is (case and all), what was looked for, and the rules that looked;
a value is places and kinds, with an HMAC of its own. Without the secret nobody can tell from a key whether a guessed
text was screened, and nobody who can write to the store can have a text passed. Who sends a guessed text does not learn
whether somebody else has written it.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from screening.engine import Screener
from screening.fields import Bundle, bundles
from screening.judgement import judge
from screening.keyed import with_keys, without_keys
from screening.model import EVERYTHING, SEVERITIES, Checks, Examination, Finding, Verdict

WORTHWHILE = 4_000
"""Characters from which on reading a text costs more than asking the store."""
CLEAN_SECONDS, FOUND_SECONDS = 300, 60

_THREAD = 20_000
_SIGNATURE = 32


class Store(Protocol):
    """Where examinations are kept for a while. It never fails: what cannot be had is not there."""

    async def get(self, key: str) -> bytes | None:
        """What was put under this key, if it is still there."""

    async def put(self, key: str, value: bytes, seconds: int) -> None:
        """Keep it for so long."""


@dataclass(slots=True)
class CacheCounts:
    """How often a long text was known, and how often not."""

    hits: int = 0
    misses: int = 0


class CachedScreener:
    """A screener that asks the store first where that is cheaper; long texts are read beside the event loop.

    Without a `secret` one is drawn, and nobody else's entries are found. `on_read` is told of each text that the store
    did not know what was looked for in it, and for how many seconds.
    """

    def __init__(
        self,
        screener: Screener,
        store: Store | None = None,
        secret: bytes = b"",
        on_read: Callable[[Checks, float], None] = lambda _, __: None,
    ) -> None:
        self.screener = screener
        self._on_read = on_read
        self.counts = CacheCounts()
        self._store = store
        self._secret = secret or os.urandom(32)

    async def screen(self, fields: Mapping[str, str], *, kind: str, tenant: str) -> Verdict:
        """As `Screener.screen`."""
        profile = self.screener.policy.profile(tenant=tenant, kind=kind)
        texts = {field: text[: profile.max_chars] for field, text in fields.items()}
        examined: dict[str, Examination] = {}
        checks = Checks(patterns=profile.patterns)
        for bundle in bundles(with_keys(texts)):
            examined |= await self._read(bundle, tenant, checks)
        digest = self.screener.digest(tenant)
        return judge(fields, without_keys(texts, examined), profile, self.screener.rules_version, digest=digest)

    async def examine(
        self, text: str, checks: Checks = EVERYTHING, *, whose: str, cached: bool = True
    ) -> tuple[Examination, bool]:
        """What is in the text, and whether the store knew it from the same people (`whose`: a name of ours for them).

        `cached` False asks and tells the store nothing.
        """
        store = self._store if cached and len(text) >= WORTHWHILE else None
        if store is None:
            return await self._examine(text, checks), False
        key = key_of(self._secret, whose, text, checks, self.screener.rules_version)
        known = loaded(await store.get(key), len(text), self._secret, key)
        if known is not None:
            self.counts.hits += 1
            return known, True
        self.counts.misses += 1
        found = await self._examine(text, checks)
        await store.put(key, dumped(found, self._secret, key), FOUND_SECONDS if found.findings else CLEAN_SECONDS)
        return found, False

    async def _read(self, bundle: Bundle, tenant: str, checks: Checks) -> dict[str, Examination]:
        whole, _ = await self.examine(bundle.text, checks, whose=tenant)
        dealt = bundle.deal_out(whole, self.screener.examine, checks)
        if checks == EVERYTHING:
            self.screener.familiar.remember(dict(bundle.parts), dealt)
        return dealt

    async def _examine(self, text: str, checks: Checks) -> Examination:
        began = perf_counter()
        if len(text) < _THREAD:
            found = self.screener.examine(text, checks)
        else:
            found = await asyncio.to_thread(self.screener.examine, text, checks)
        self._on_read(checks, perf_counter() - began)
        return found


def key_of(secret: bytes, whose: str, text: str, checks: Checks, rules_version: str) -> str:
    """The key of one examination: other people, other text, other checks, other rules, other key."""
    head = f"{rules_version}\0{checks.data:d}{checks.injections:d}{checks.patterns}\0{whose}\0".encode()
    return hmac.new(secret, head + text.encode("utf-8", "surrogatepass"), "sha256").hexdigest()


def dumped(examination: Examination, secret: bytes, key: str) -> bytes:
    """As bytes for the store: places and kinds, signed for this key."""
    rows = [[f.family, f.type, f.severity, f.start, f.end, f.confidence, f.rule] for f in examination.findings]
    raw = json.dumps([examination.score, rows], separators=(",", ":")).encode()
    return _signature(secret, key, raw) + raw


def loaded(kept: bytes | None, length: int, secret: bytes, key: str) -> Examination | None:
    """Back from bytes; None for what is no examination of a text of this length by us: it is made anew."""
    if kept is None or not hmac.compare_digest(kept[:_SIGNATURE], _signature(secret, key, kept[_SIGNATURE:])):
        return None
    try:
        score, rows = json.loads(kept[_SIGNATURE:])
        found = tuple(
            Finding(family, kind, severity, "", start, end, confidence, rule)
            for family, kind, severity, start, end, confidence, rule in rows
        )
        sound = all(f.severity in SEVERITIES and 0 <= f.start <= f.end <= length for f in found)
    except (ValueError, TypeError):
        return None
    return Examination(found, float(score)) if sound else None


def _signature(secret: bytes, key: str, raw: bytes) -> bytes:
    return hmac.digest(secret, key.encode() + raw, "sha256")
