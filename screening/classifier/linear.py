"""The linear classifier beside the rules: named cues, pairs of cues, and hashed n-grams of characters and words."""

from __future__ import annotations

import base64
import json
import math
import zlib
from functools import cached_property
from importlib import resources
from typing import TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from screening.classifier.features import BITS, Grams
from screening.classifier.glance import Glance
from screening.documents import parsed
from screening.matching.gate import Gate, Presence

BLOCK, REACH = 250, 60
CHAR_NORM, WORD_NORM = 2500, 600
BUCKETS = 1 << BITS
_SHORT = 1250
AROUND = 30
_CLOSE = 6
_ANYWAY, _MOST, _DOUBT = 24, 800, 1.0
_ALONE = 250_000
_PLAIN, _FAINT, _CROWD = 6.0, 1.75, 0.35
_SPACIOUS = 600
_COUNTING = ("\\w+", "\\w*", "]{", "[^", "\\s*", "\\s+", "\\W")

Numbers = NDArray[np.int64]


class Artefact(TypedDict):
    """The trained weights as they lie in data/classifier.json; logits, 0 being the flag threshold."""

    trained_on: str
    bias: float
    cues: dict[str, float]
    pairs: dict[str, dict[str, float]]
    grams_scale: float
    grams_reach: float
    grams: list[str]


def cue_patterns() -> dict[str, str]:
    """The cues by name (data/cues.yaml), with their words in more languages and scripts (data/cues-*.yaml)."""
    result = _patterns("cues.yaml")
    for name in ("cues-languages.yaml", "cues-scripts.yaml"):
        more = _patterns(name)
        if unknown := more.keys() - result.keys():
            raise ValueError(f"{name} adds to cues that do not exist: {sorted(unknown)}")
        result = {cue: f"{pattern}|{more[cue]}" if cue in more else pattern for cue, pattern in result.items()}
    return result


def _patterns(name: str) -> dict[str, str]:
    return cast("dict[str, str]", parsed((resources.files("screening") / "data" / name).read_text("utf-8")))


def windows(text: str) -> list[tuple[int, int]]:
    """Where the windows of a text begin and end: the text itself when it is short, else any two adjacent blocks."""
    if len(text) <= _SHORT:
        return [(0, len(text))]
    return [(number * BLOCK, min(len(text), (number + 2) * BLOCK)) for number in range(window_count(len(text)))]


def window_count(length: int) -> int:
    """How many windows a long text of so many characters has."""
    return max(1, -(-(length - BLOCK) // BLOCK))


def crowding(count: int) -> float:
    """How much higher the best of so many windows of a harmless text is than that of a few.

    Above its middle the logit of harmless windows falls off exponentially; the highest of n such draws grows with ln n.
    """
    return _CROWD * math.log(count / 8) if count > 8 else 0.0


def room(length: int) -> float:
    """How much n-grams can say of a text of so many characters, beside one of another length."""
    return min(length, _SPACIOUS) ** (2 / 3)  # type: ignore[no-any-return]  # a float power of an int is Any to mypy


def settled(best: float, count: int) -> float:
    """The logit of a text by the highest logit of its windows, of which there are `count`.

    In a long text a window that is only a little suspicious says less; one that is plainly an attack says as much.
    """
    return best if count == 1 else best - crowding(count) - _FAINT * max(0.0, 1 - best / _PLAIN)


def required(needed: float, count: int) -> float:
    """The logit that a window needs for its text to come to `needed`: `settled` the other way round."""
    if count == 1:
        return needed
    needed += crowding(count)
    return needed if needed > _PLAIN else (needed + _FAINT) / (1 + _FAINT / _PLAIN)


def gram_value(grams: Grams, weights: NDArray[np.int8], scale: float) -> float:
    """The n-grams' share of the logit: sums over the root of their number, which short texts do not undercut."""
    chars = int(weights.take(grams.chars).sum()) / math.sqrt(max(len(grams.chars), CHAR_NORM))
    words = int(weights[BUCKETS:].take(grams.words).sum()) / math.sqrt(max(len(grams.words), WORD_NORM))
    return (chars + words) * scale


class Cues:
    """Which of the named cues are in a text."""

    def __init__(self) -> None:
        patterns = cue_patterns()
        self.names = list(patterns)
        self._gate = Gate(enumerate(patterns.values()), _COUNTING)
        self._patterns = list(patterns.values())

    @cached_property
    def _glance(self) -> Glance:
        """Made for the first long text: many a process never reads one."""
        return Glance(self._patterns, self._gate)

    def found(self, text: str) -> list[int]:
        """Indices into `names`, ascending."""
        return sorted(self._gate.hits(text.encode("utf-8", "replace")))

    def present(self, text: str, chosen: Numbers) -> Presence:
        """A row for each chosen window of a long text: 1 for the cues that begin in it. Each block is read once."""
        blocks = np.union1d(chosen, chosen + 1)
        near = (text[max(0, start - AROUND) : start + BLOCK + REACH] for start in (blocks * BLOCK).tolist())
        result = self._gate.presence([excerpt.encode("utf-8", "replace") for excerpt in near], len(self.names))
        first = np.searchsorted(blocks, chosen)
        return np.maximum(result[first], result[first + 1])

    def likely(self, text: str, count: int) -> Presence:
        """A row for each window of a long text that has so many: 1 for the cues that seem to be in it at a glance."""
        blocks = self._glance.presence(text, BLOCK)
        windows: Presence = np.maximum(blocks[:count], blocks[1 : count + 1])
        return windows


class Classifier:
    """Gives a text the logit of being an injection; 0 is the flag threshold, found on sources held out of training."""

    def __init__(self) -> None:
        artefact: Artefact = json.loads((resources.files("screening") / "data" / "classifier.json").read_bytes())
        self._cues = Cues()
        names = self._cues.names
        if list(artefact["cues"]) != names:
            raise ValueError(
                "data/classifier.json was trained on other cues than data/cues.yaml: run make train-reflex"
            )
        self._bias, self._reach = artefact["bias"], artefact["grams_reach"]
        pairs = artefact["pairs"]
        self._single = [artefact["cues"][name] for name in names]
        self._pair = [[pairs.get(a, {}).get(b, 0.0) for b in names] for a in names]
        self._singles = np.array(self._single, np.float32)
        self._pairs = np.array(self._pair, np.float32)
        packed = zlib.decompress(base64.b85decode("".join(artefact["grams"])))
        self._grams, self._scale = np.frombuffer(packed, np.int8), artefact["grams_scale"]

    def logit(self, text: str, needed: float = 0.0) -> float:
        """By the highest logit of the text's windows (see `settled`).

        N-grams are only read where they can lift it to `needed`. In a long text cues tell the 6 likeliest windows,
        which are then read exactly, with 30 characters on either side.
        """
        if len(text) <= _SHORT:
            return self._refined(self._of_cues(self._cues.found(text)), text, needed)
        count = window_count(len(text))
        needed = required(needed, count)
        chosen = self._suspicious(text, count, needed)
        by_cues = self._by_cues(self._cues.present(text, chosen))
        best = -np.inf
        for number in chosen[np.argsort(-by_cues)[:_CLOSE]].tolist():
            start = number * BLOCK
            part = text[max(0, start - AROUND) : start + 2 * BLOCK + AROUND]
            best = max(best, self._refined(self._of_cues(self._cues.found(part)), part, max(best, needed)))
        return settled(best, count)

    def _suspicious(self, text: str, count: int, needed: float) -> Numbers:
        """The windows that may reach `needed`: up to 800 all; of more the likeliest at a glance, if they come near it.

        A glance misses some cues, for and against: what falls short of `needed` by 1 is read all the same, and 24 in
        any case.
        """
        if count <= _MOST:
            return np.arange(count)
        likely = self._by_cues(self._cues.likely(text, count))
        least = min(_PLAIN, needed) - self._reach * room(2 * (BLOCK + AROUND)) - _DOUBT
        number = min(max(int((likely >= least).sum()), _ANYWAY), _MOST, count)
        chosen: Numbers = np.sort(np.argpartition(-likely, number - 1)[:number])
        return chosen

    def _refined(self, value: float, text: str, needed: float) -> float:
        """With the n-grams' share: of 999 texts in 1,000 it is below `grams_reach` times the room that they have."""
        reach = self._reach * room(len(text))
        return value + gram_value(Grams(text), self._grams, self._scale) if value + reach >= needed else value - reach

    def _by_cues(self, present: Presence) -> Presence:
        """The cues' share, window by window.

        So few rows at a time that BLAS does not start threads, which would spin for longer than the work takes.
        """
        totals: Presence = np.empty(len(present), np.float32)
        step = max(1, _ALONE // len(self._singles) ** 2)
        for first in range(0, len(present), step):
            part = present[first : first + step]
            totals[first : first + step] = self._bias + part @ self._singles + ((part @ self._pairs) * part).sum(1)
        return totals

    def _of_cues(self, found: list[int]) -> float:
        total = self._bias
        for position, cue in enumerate(found):
            total += self._single[cue]
            row = self._pair[cue]
            for other in found[position + 1 :]:
                total += row[other]
        return total
