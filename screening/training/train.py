"""Train the injection classifier: `python -m screening.training.train CORPORA` writes the weights and their report."""

from __future__ import annotations

import base64
import json
import random
import sys
import zlib
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from screening.classifier.linear import room, settled
from screening.training import grammar
from screening.training.matrix import BROAD, GRAM_SCALE, NARROW, Floats, Matrix, Text, judged_windows

DATA = Path(__file__).resolve().parents[1] / "data"
SEED, CAP = 7, 700
GENERATED, DOCUMENTS = {NARROW: 6000, BROAD: 12_000}, {NARROW: 3600, BROAD: 4800}
GENERATED_CAP, MOST = 14_000, 3.0
GENERATED_SOURCES = {"generated", "documents", "documents+attack"}
OWN, OWN_SOURCE, OWN_WEIGHT = Path(__file__).parent / "own", "own/", 6.0
"""Texts written one by one for this project, a file for each slice of subjects; a slice is held out together."""
C = 0.1
REACHED = 0.999
FLAG = 0.8
"""Logit that flags, chosen on held-out sources (see the report); written into the bias, so that 0 flags."""


def corpus(folder: Path) -> list[Text]:
    """The development corpus, and for each mix generated texts and harmless texts with a generated injection inside."""
    rows = [json.loads(line) for line in (folder / "injection_dev.jsonl").read_bytes().splitlines()]
    texts = [Text(r["text"], r["label"], r["source"], r["source"].removesuffix("_benign")) for r in rows]
    return [*texts, *_own(), *_generated(texts, NARROW), *_generated(texts, BROAD)]


def _own() -> list[Text]:
    rows = [
        (path.stem, json.loads(line)) for path in sorted(OWN.glob("*.jsonl")) for line in path.open(encoding="utf-8")
    ]
    return [Text(row["text"], row["label"], OWN_SOURCE + name, OWN_SOURCE + name, mix=BROAD) for name, row in rows]


def _generated(real: list[Text], mix: str) -> list[Text]:
    rng, narrow = random.Random(SEED), mix == NARROW
    share = [{"english": 0.6}, {"english": 0.7}] if narrow else [{}, {}]
    count = GENERATED[mix]
    attacks = grammar.attacks(rng, count, narrow=narrow, **share[0])
    texts = [Text(text, 1, "generated", "generated", derived=True, mix=mix) for text in attacks]
    requests = grammar.requests(rng, count, narrow=narrow, **share[1])
    texts += [Text(text, 0, "generated", "generated", derived=True, mix=mix) for text in requests]
    drawn = grammar.documents(rng, DOCUMENTS[mix], narrow=narrow)
    documents = [Text(text, 0, "documents", "generated", derived=True, mix=mix) for text in drawn]
    texts += documents
    carriers = [t for t in real if not t.label and t.group not in {"deepset", "spikee"} and rng.random() < 0.35]
    orders = grammar.attacks(rng, DOCUMENTS[mix] // 3 + len(carriers), narrow=narrow)
    hosts = [*documents[: DOCUMENTS[mix] // 3], *carriers]
    return texts + [_inserted(host, order, rng, mix) for host, order in zip(hosts, orders, strict=True)]


def _inserted(carrier: Text, attack: str, rng: random.Random, mix: str) -> Text:
    body = carrier.text[: max(60, 1000 - len(attack))]
    at = rng.choice([0, len(body), rng.randrange(len(body) + 1)])
    gap = rng.choice(["\n", " ", "\n\n"])
    text = body[:at] + gap + attack + gap + body[at:]
    return Text(text, 1, carrier.source + "+attack", carrier.group, derived=True, mix=mix)


def weights_of(texts: list[Text], matrix: Matrix, chosen: NDArray[np.bool_]) -> Floats:
    """Sample weights: a text counts once however many windows, both labels the same in sum, a source at most CAP.

    Generated and own texts count more than a source: what they teach carries over to sources never seen.
    """
    windows_of = Counter(matrix.owner[chosen])
    raw = np.array([windows_of[owner] ** -0.5 for owner in matrix.owner[chosen]])
    keys = [(texts[owner].source, texts[owner].label) for owner in matrix.owner[chosen]]
    totals: dict[tuple[str, int], float] = defaultdict(float)
    for key, weight in zip(keys, raw, strict=True):
        totals[key] += weight
    worth = {key: _worth(key[0], total) for key, total in totals.items()}
    result: Floats = raw * np.array([worth[key] for key in keys])
    attacks = matrix.label[chosen] == 1
    result[attacks] *= result[~attacks].sum() / result[attacks].sum()
    return result


def _worth(source: str, total: float) -> float:
    """How often each of a source's texts counts, which are so many."""
    if source.startswith(OWN_SOURCE):
        return OWN_WEIGHT
    return min((GENERATED_CAP if source in GENERATED_SOURCES else CAP) / total, MOST)


class Fits:
    """Fits models to parts of the texts, each regression once."""

    def __init__(self, texts: list[Text]) -> None:
        self.texts, self.matrix = texts, Matrix(texts)
        self.groups = np.array([texts[owner].group for owner in self.matrix.owner])
        self._mixes = np.array([texts[owner].mix for owner in self.matrix.owner])
        self._known: dict[tuple[str, bytes], tuple[Floats, float]] = {}

    def of(self, chosen: NDArray[np.bool_]) -> tuple[Floats, float]:
        """Coefficients and intercept: the mean of one logistic regression for each mix of generated texts.

        The narrow one, without faint cues, knows the well-known attacks best; the broad one, what is written otherwise.
        """
        (one, low), (other, high) = (self._part(mix, chosen) for mix in (NARROW, BROAD))
        return (one + other) / 2, (low + high) / 2

    def _part(self, mix: str, chosen: NDArray[np.bool_]) -> tuple[Floats, float]:
        rows = chosen & ((self._mixes == mix) | (self._mixes == ""))
        key = mix, rows.tobytes()
        if key not in self._known:
            x = self.matrix.without_faint(rows) if mix == NARROW else self.matrix.x[rows]
            model = LogisticRegression(C=C, max_iter=300)
            model.fit(x, self.matrix.label[rows], sample_weight=weights_of(self.texts, self.matrix, rows))
            self._known[key] = model.coef_[0], float(model.intercept_[0])
        return self._known[key]


def held_out(fits: Fits) -> dict[int, float]:
    """For each text that is not derived the logit from a model that saw nothing of its source; 0 flags."""
    tested = [index for index, text in enumerate(fits.texts) if not text.derived]
    judged = Matrix([fits.texts[index] for index in tested], judged_windows)
    group_of = np.array([fits.texts[tested[owner]].group for owner in judged.owner])
    counts = Counter(judged.owner.tolist())
    result: dict[int, float] = {}
    for group in sorted(set(group_of)):
        coefficients, intercept = fits.of(fits.groups != group)
        rows = group_of == group
        logits = judged.x[rows] @ coefficients + intercept - FLAG
        for owner, logit in zip(judged.owner[rows].tolist(), logits, strict=True):
            result[tested[owner]] = max(result.get(tested[owner], -99.0), float(logit))
    return {tested[owner]: settled(result[tested[owner]], count) for owner, count in counts.items()}


def write(fits: Fits) -> None:
    """Fit on everything and write data/classifier.json."""
    matrix = fits.matrix
    coefficients, intercept = fits.of(np.ones(len(matrix.owner), bool))
    cues = len(matrix.names)
    pairs: dict[str, dict[str, float]] = defaultdict(dict)
    for (a, b), weight in zip(
        matrix.pairs, coefficients[cues : cues + len(matrix.pairs)] * matrix.pair_scale, strict=True
    ):
        if abs(weight) >= 0.005:
            pairs[matrix.names[a]][matrix.names[b]] = round(float(weight), 3)
    grams = coefficients[cues + len(matrix.pairs) :] * GRAM_SCALE
    scale = float(np.abs(grams).max()) / 127
    share = matrix.x[:, cues + len(matrix.pairs) :] @ coefficients[cues + len(matrix.pairs) :]
    rooms = np.array([room(length) for length in matrix.lengths])
    packed = base64.b85encode(zlib.compress(np.round(grams / scale).astype(np.int8).tobytes(), 9)).decode()
    artefact = {
        "trained_on": ", ".join(f"{source} {n}" for source, n in sorted(Counter(t.source for t in fits.texts).items())),
        "bias": round(intercept - FLAG, 4),
        "cues": {
            name: round(float(w), 3) for name, w in zip(matrix.names, coefficients[:cues] * matrix.scale, strict=True)
        },
        "pairs": pairs,
        "grams_scale": scale,
        "grams_reach": round(float(np.quantile(share / rooms, REACHED)), 4),
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
    fits = Fits(texts)
    write(fits)
    logits = held_out(fits)
    (DATA / "classifier-report.md").write_text(report(texts, logits), "utf-8")
    if len(sys.argv) > 2:
        rows = [{"index": owner, "logit": round(logit, 4)} for owner, logit in sorted(logits.items())]
        Path(sys.argv[2]).write_text(json.dumps(rows), "utf-8")
    print(report(texts, logits))  # noqa: T201 - the report is this command's output


if __name__ == "__main__":
    main()
