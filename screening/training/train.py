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

from screening.classifier import settled
from screening.training import grammar
from screening.training.matrix import BROAD, GRAM_SCALE, NARROW, Floats, Matrix, Text, judged_windows

DATA = Path(__file__).resolve().parents[1] / "data"
SEED, CAP = 7, 700
GENERATED, DOCUMENTS = {NARROW: 6000, BROAD: 12_000}, {NARROW: 3600, BROAD: 4800}
GENERATED_CAP, MOST = 14_000, 3.0
GENERATED_SOURCES = {"generated", "documents", "documents+attack"}
C = 0.1
FLAG = 0.65
"""Logit that flags, chosen on held-out sources (see the report); written into the bias, so that 0 flags."""


def corpus(folder: Path) -> list[Text]:
    """The development corpus, and for each mix generated texts and harmless texts with a generated injection inside."""
    rows = [json.loads(line) for line in (folder / "injection_dev.jsonl").read_bytes().splitlines()]
    texts = [Text(r["text"], r["label"], r["source"], r["source"].removesuffix("_benign")) for r in rows]
    return [*texts, *_generated(texts, NARROW), *_generated(texts, BROAD)]


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


def fit(texts: list[Text], matrix: Matrix, chosen: NDArray[np.bool_]) -> tuple[Floats, float]:
    """Coefficients and intercept: the mean of one logistic regression for each mix of generated texts.

    The narrow one, without faint cues, knows the well-known attacks best; the broad one, what is written otherwise.
    """
    mixes = np.array([texts[owner].mix for owner in matrix.owner])
    parts = []
    for mix in (NARROW, BROAD):
        rows = chosen & ((mixes == mix) | (mixes == ""))
        x = matrix.without_faint(rows) if mix == NARROW else matrix.x[rows]
        model = LogisticRegression(C=C, max_iter=300)
        model.fit(x, matrix.label[rows], sample_weight=weights_of(texts, matrix, rows))
        parts.append((model.coef_[0], float(model.intercept_[0])))
    (one, low), (other, high) = parts
    return (one + other) / 2, (low + high) / 2


def held_out(texts: list[Text], matrix: Matrix) -> dict[int, float]:
    """For each text of the corpus the logit from a model that saw nothing of its source; 0 flags."""
    groups = np.array([texts[owner].group for owner in matrix.owner])
    tested = [index for index, text in enumerate(texts) if not text.derived]
    judged = Matrix([texts[index] for index in tested], judged_windows)
    group_of = np.array([texts[tested[owner]].group for owner in judged.owner])
    counts = Counter(judged.owner.tolist())
    result: dict[int, float] = {}
    for group in sorted(set(group_of)):
        coefficients, intercept = fit(texts, matrix, groups != group)
        rows = group_of == group
        logits = judged.x[rows] @ coefficients + intercept - FLAG
        for owner, logit in zip(judged.owner[rows].tolist(), logits, strict=True):
            result[tested[owner]] = max(result.get(tested[owner], -99.0), float(logit))
    return {tested[owner]: settled(result[tested[owner]], count) for owner, count in counts.items()}


def write(texts: list[Text], matrix: Matrix) -> None:
    """Fit on everything and write data/classifier.json."""
    coefficients, intercept = fit(texts, matrix, np.ones(len(matrix.owner), bool))
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
    packed = base64.b85encode(zlib.compress(np.round(grams / scale).astype(np.int8).tobytes(), 9)).decode()
    artefact = {
        "trained_on": ", ".join(f"{source} {n}" for source, n in sorted(Counter(t.source for t in texts).items())),
        "bias": round(intercept - FLAG, 4),
        "cues": {
            name: round(float(w), 3) for name, w in zip(matrix.names, coefficients[:cues] * matrix.scale, strict=True)
        },
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
    matrix = Matrix(texts)
    write(texts, matrix)
    logits = held_out(texts, matrix)
    (DATA / "classifier-report.md").write_text(report(texts, logits), "utf-8")
    if len(sys.argv) > 2:
        rows = [{"index": owner, "logit": round(logit, 4)} for owner, logit in sorted(logits.items())]
        Path(sys.argv[2]).write_text(json.dumps(rows), "utf-8")
    print(report(texts, logits))  # noqa: T201 - the report is this command's output


if __name__ == "__main__":
    main()
