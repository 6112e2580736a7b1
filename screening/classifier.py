"""The linear classifier beside the rules: named cues, pairs of cues, and hashed n-grams of characters and words."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from importlib import resources
from typing import TypedDict

import numpy as np
import yaml
from numpy.typing import NDArray

from screening.features import BITS, Grams
from screening.matcher import Gate

WINDOW = 1000
CHAR_NORM, WORD_NORM = 2500, 600
BUCKETS = 1 << BITS
_LONG = 16_000
_CLOSE = 12
_OPEN = -0.5


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
    """The cues by name (data/cues.yaml), with their words in more languages (data/cues-languages.yaml)."""
    raw, more = (_patterns(name) for name in ("cues.yaml", "cues-languages.yaml"))
    if unknown := more.keys() - raw.keys():
        raise ValueError(f"cues-languages.yaml adds to cues that do not exist: {sorted(unknown)}")
    return {name: f"{pattern}|{more[name]}" if name in more else pattern for name, pattern in raw.items()}


def _patterns(name: str) -> dict[str, str]:
    patterns: dict[str, str] = yaml.safe_load((resources.files("screening") / "data" / name).read_text("utf-8"))
    return patterns


def windows(text: str) -> Iterator[str]:
    """The text itself when it is short, else overlapping windows; twice as wide beyond 16,000 characters."""
    size = WINDOW if len(text) <= _LONG else 2 * WINDOW
    if len(text) <= size * 5 // 4:
        yield text
        return
    step = size // 2 if size == WINDOW else size * 3 // 4
    for start in range(0, len(text) - size + step, step):
        yield text[start : start + size]


def gram_value(grams: Grams, weights: NDArray[np.float32]) -> float:
    """The n-grams' share of the logit: sums over the root of their number, which short texts do not undercut."""
    chars = sum(float(weights[hashes].sum()) for hashes in grams.chars)
    words = sum(float(weights[BUCKETS:][hashes].sum()) for hashes in grams.words)
    return float(chars / max(grams.char_count, CHAR_NORM) ** 0.5 + words / max(grams.word_count, WORD_NORM) ** 0.5)


class Cues:
    """Which of the named cues are in a text; one pass."""

    def __init__(self) -> None:
        patterns = cue_patterns()
        self.names = list(patterns)
        self._gate = Gate(patterns.values(), passes=3)

    def found(self, text: str) -> list[int]:
        """Indices into `names`, ascending."""
        return sorted(self._gate.hits(text.encode("utf-8", "replace")))


class Classifier:
    """Gives a text the logit of being an injection; 0 is the flag threshold, found on sources held out of training."""

    def __init__(self) -> None:
        raw = (resources.files("screening") / "data" / "classifier.json").read_bytes()
        artefact: Artefact = json.loads(raw)
        self.raw = raw
        self._cues = Cues()
        names = self._cues.names
        if list(artefact["cues"]) != names:
            raise ValueError(
                "data/classifier.json was trained on other cues than data/cues.yaml: run make train-reflex"
            )
        self._bias, self._reach = artefact["bias"], artefact["grams_reach"]
        self._single = [artefact["cues"][name] for name in names]
        pairs = artefact["pairs"]
        self._pair = [[pairs.get(first, {}).get(second, 0.0) for second in names] for first in names]
        packed = zlib.decompress(base64.b85decode("".join(artefact["grams"])))
        self._grams = np.frombuffer(packed, np.int8).astype(np.float32) * artefact["grams_scale"]

    def logit(self, text: str) -> float:
        """The highest logit of the text's windows.

        N-grams are only read where the cues leave the outcome open (they move it by about `grams_reach` at most),
        and in a long text in the 12 likeliest windows.
        """
        scored = sorted(((self._cue_logit(part), part) for part in windows(text)), key=lambda item: -item[0])
        best = scored[0][0] - self._reach
        for value, part in scored[:_CLOSE]:
            if value + self._reach < max(best, _OPEN):
                break
            best = max(best, value + gram_value(Grams(part), self._grams))
        return best

    def _cue_logit(self, text: str) -> float:
        found = self._cues.found(text)
        total = self._bias
        for position, cue in enumerate(found):
            total += self._single[cue]
            row = self._pair[cue]
            for other in found[position + 1 :]:
                total += row[other]
        return total
