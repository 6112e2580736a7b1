"""Train the injection classifier: `python -m screening.training.train CORPORA` writes the weights and their report."""

from __future__ import annotations

import base64
import json
import random
import sys
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from screening.classifier import AROUND, BUCKETS, CHAR_NORM, WORD_NORM, Cues, settled, windows
from screening.features import Grams
from screening.training import grammar

Floats = NDArray[np.float64]
DATA = Path(__file__).resolve().parents[1] / "data"
SEED, GENERATED, DOCUMENTS, CAP = 7, 6000, 3600, 700
GENERATED_CAP, MOST = 14_000, 3.0
_WIDE = 1000
GENERATED_SOURCES = {"generated", "documents", "documents+attack"}
C, PAIR_SCALE, GRAM_SCALE = 0.1, 0.5, 0.5
FLAG = 0.95
"""Logit that flags, chosen on held-out sources (see the report); written into the bias, so that 0 flags."""


@dataclass(frozen=True, slots=True)
class Text:
    """One training text; `group` is what is held out together, `derived` texts are never tested on."""

    text: str
    label: int
    source: str
    group: str
    derived: bool = False


def corpus(folder: Path) -> list[Text]:
    """The development corpus, generated texts, and harmless texts with a generated injection inside."""
    rng = random.Random(SEED)
    rows = [json.loads(line) for line in (folder / "injection_dev.jsonl").read_bytes().splitlines()]
    texts = [Text(r["text"], r["label"], r["source"], r["source"].removesuffix("_benign")) for r in rows]
    texts += [Text(text, 1, "generated", "generated", derived=True) for text in grammar.attacks(rng, GENERATED)]
    texts += [Text(text, 0, "generated", "generated", derived=True) for text in grammar.requests(rng, GENERATED)]
    documents = list(grammar.documents(rng, DOCUMENTS))
    texts += [Text(text, 0, "documents", "generated", derived=True) for text in documents]
    for text in documents[: DOCUMENTS // 3]:
        texts.append(_inserted(Text(text, 0, "documents", "generated"), next(grammar.attacks(rng, 1)), rng))
    carriers = [t for t in texts if not t.derived and not t.label and t.group not in {"deepset", "spikee"}]
    for carrier in carriers:
        if rng.random() < 0.35:
            texts.append(_inserted(carrier, next(grammar.attacks(rng, 1)), rng))
    return texts


def _inserted(carrier: Text, attack: str, rng: random.Random) -> Text:
    body = carrier.text[: max(60, 1000 - len(attack))]
    at = rng.choice([0, len(body), rng.randrange(len(body) + 1)])
    gap = rng.choice(["\n", " ", "\n\n"])
    text = body[:at] + gap + attack + gap + body[at:]
    return Text(text, 1, carrier.source + "+attack", carrier.group, derived=True)


def wide_windows(text: str) -> list[tuple[int, int]]:
    """The windows to learn from: wide ones, because not every narrow part of a long attack is one."""
    if len(text) <= _WIDE * 5 // 4:
        return [(0, len(text))]
    return [(start, min(len(text), start + _WIDE)) for start in range(0, len(text) - _WIDE // 2, _WIDE // 2)]


class Matrix:
    """Features of all windows of all texts (as they are judged, or `wide`), with the text each window belongs to."""

    def __init__(self, texts: list[Text], *, wide: bool = False) -> None:
        cues = Cues()
        cut, around = (wide_windows, 0) if wide else (windows, AROUND)
        self.names = cues.names
        self.pairs = [(a, b) for a in range(len(self.names)) for b in range(a + 1, len(self.names))]
        places = [cut(text.text) for text in texts]
        parts = [
            text.text[max(0, start - around) : end + around]
            for text, spans in zip(texts, places, strict=True)
            for start, end in spans
        ]
        self.owner = np.repeat(np.arange(len(texts)), [len(spans) for spans in places])
        self.label = np.array([texts[index].label for index in self.owner])
        present = _presence(cues, parts)
        first, second = np.array(self.pairs).T
        products = sp.csr_matrix(present[:, first] * present[:, second] * PAIR_SCALE)
        self.x = sp.hstack([sp.csr_matrix(present), products, _grams(parts)]).tocsr()


def _presence(cues: Cues, parts: list[str]) -> NDArray[np.float32]:
    present = np.zeros((len(parts), len(cues.names)), np.float32)
    for row, part in enumerate(parts):
        present[row, cues.found(part)] = 1
    return present


def _grams(parts: list[str]) -> sp.csr_matrix:
    rows: list[NDArray[np.int64]] = []
    values: list[Floats] = []
    ends = [0]
    for part in parts:
        grams = Grams(part)
        chars, words = grams.chars, grams.words + BUCKETS
        rows += (chars, words)
        values.append(np.full(len(chars), GRAM_SCALE / max(len(chars), CHAR_NORM) ** 0.5))
        values.append(np.full(len(words), GRAM_SCALE / max(len(words), WORD_NORM) ** 0.5))
        ends.append(ends[-1] + len(chars) + len(words))
    matrix = sp.csr_matrix(
        (np.concatenate(values), np.concatenate(rows), ends), shape=(len(parts), 2 * BUCKETS), dtype=np.float32
    )
    matrix.sum_duplicates()
    return matrix


def weights_of(texts: list[Text], matrix: Matrix, chosen: NDArray[np.bool_]) -> Floats:
    """Sample weights: a text counts once however many windows, both labels the same in sum, a source at most CAP.

    The generated texts count more than a source: what they teach carries over to sources never seen.
    """
    windows_of = Counter(matrix.owner[chosen])
    raw = np.array([windows_of[owner] ** -0.5 for owner in matrix.owner[chosen]])
    keys = [(texts[owner].source, texts[owner].label) for owner in matrix.owner[chosen]]
    totals: dict[tuple[str, int], float] = defaultdict(float)
    for key, weight in zip(keys, raw, strict=True):
        totals[key] += weight
    caps = {key: GENERATED_CAP if key[0] in GENERATED_SOURCES else CAP for key in totals}
    result: Floats = raw * np.array([min(caps[key] / totals[key], MOST) for key in keys])
    attacks = matrix.label[chosen] == 1
    result[attacks] *= result[~attacks].sum() / result[attacks].sum()
    return result


def fit(texts: list[Text], matrix: Matrix, chosen: NDArray[np.bool_]) -> LogisticRegression:
    """A logistic regression on the chosen windows."""
    model = LogisticRegression(C=C, max_iter=300)
    model.fit(matrix.x[chosen], matrix.label[chosen], sample_weight=weights_of(texts, matrix, chosen))
    return model


def held_out(texts: list[Text], matrix: Matrix) -> dict[int, float]:
    """For each text of the corpus the logit from a model that saw nothing of its source; 0 flags."""
    groups = np.array([texts[owner].group for owner in matrix.owner])
    tested = [index for index, text in enumerate(texts) if not text.derived]
    judged = Matrix([texts[index] for index in tested])
    group_of = np.array([texts[tested[owner]].group for owner in judged.owner])
    counts = Counter(judged.owner.tolist())
    result: dict[int, float] = {}
    for group in sorted(set(group_of)):
        model = fit(texts, matrix, groups != group)
        rows = group_of == group
        logits = judged.x[rows] @ model.coef_[0] + model.intercept_[0] - FLAG
        for owner, logit in zip(judged.owner[rows].tolist(), logits, strict=True):
            result[tested[owner]] = max(result.get(tested[owner], -99.0), float(logit))
    return {tested[owner]: settled(result[tested[owner]], count) for owner, count in counts.items()}


def write(texts: list[Text], matrix: Matrix) -> None:
    """Fit on everything and write data/classifier.json."""
    model = fit(texts, matrix, np.ones(len(matrix.owner), bool))
    coefficients, cues = model.coef_[0], len(matrix.names)
    pairs: dict[str, dict[str, float]] = defaultdict(dict)
    for (a, b), weight in zip(matrix.pairs, coefficients[cues : cues + len(matrix.pairs)] * PAIR_SCALE, strict=True):
        if abs(weight) >= 0.005:
            pairs[matrix.names[a]][matrix.names[b]] = round(float(weight), 3)
    grams = coefficients[cues + len(matrix.pairs) :] * GRAM_SCALE
    scale = float(np.abs(grams).max()) / 127
    share = matrix.x[:, cues + len(matrix.pairs) :] @ coefficients[cues + len(matrix.pairs) :]
    packed = base64.b85encode(zlib.compress(np.round(grams / scale).astype(np.int8).tobytes(), 9)).decode()
    artefact = {
        "trained_on": ", ".join(f"{source} {n}" for source, n in sorted(Counter(t.source for t in texts).items())),
        "bias": round(float(model.intercept_[0]) - FLAG, 4),
        "cues": {name: round(float(w), 3) for name, w in zip(matrix.names, coefficients, strict=False)},
        "pairs": pairs,
        "grams_scale": scale,
        "grams_reach": round(float(share.max()), 3),
        "grams": [packed[i : i + 160] for i in range(0, len(packed), 160)],
    }
    (DATA / "classifier.json").write_text(json.dumps(artefact, indent=1) + "\n", "utf-8")


def report(texts: list[Text], logits: dict[int, float]) -> str:
    """Recall and false positives of the classifier alone, by source held out."""
    by_source: dict[tuple[str, int], list[float]] = defaultdict(list)
    for owner, logit in logits.items():
        by_source[texts[owner].source, texts[owner].label].append(logit)
    steps = (-1.0, 0.0, 1.0, 2.0, 3.0)
    lines = [
        "# Training report of data/classifier.json",
        "",
        "Written by `make train-reflex`. Each row: the share of a source's texts at or above a logit, by a model that",
        "saw nothing of that source (0 flags). Classifier alone; with the rules: docs/reflex.md.",
        "",
        "| source | label | texts | " + " | ".join(f"≥ {step:g}" for step in steps) + " |",
        "|---|---|---|" + "---|" * len(steps),
    ]
    for (source, label), values in sorted(by_source.items(), key=lambda item: (item[0][1], item[0][0])):
        shares = " | ".join(f"{np.mean(np.array(values) >= step):.3f}" for step in steps)
        lines.append(f"| {source} | {'attack' if label else 'benign'} | {len(values)} | {shares} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train, test by held-out source, write weights, report and the held-out logits (for make bench-reflex)."""
    texts = corpus(Path(sys.argv[1]))
    matrix = Matrix(texts, wide=True)
    write(texts, matrix)
    logits = held_out(texts, matrix)
    (DATA / "classifier-report.md").write_text(report(texts, logits), "utf-8")
    if len(sys.argv) > 2:
        rows = [{"index": owner, "logit": round(logit, 4)} for owner, logit in sorted(logits.items())]
        Path(sys.argv[2]).write_text(json.dumps(rows), "utf-8")
    print(report(texts, logits))  # noqa: T201 - the report is this command's output


if __name__ == "__main__":
    main()
