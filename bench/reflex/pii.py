"""Personal data: precision, recall and F1 per type on texts with marked spans, and per recogniser on unit vectors."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from bench.reflex.baseline import Finder, Span, plain_pii, presidio_patterns
from screening import Screener

KINDS = ("credit_card", "email", "iban", "ip", "ssn", "phone")
_TRUTH = {
    "CREDIT_CARD": "credit_card", "EMAIL_ADDRESS": "email", "IBAN_CODE": "iban", "IP_ADDRESS": "ip",
    "US_SSN": "ssn", "PHONE_NUMBER": "phone",
}  # fmt: skip
_VECTORS = {
    "iban": "iban",
    "ip": "ip",
    "credit_card": "credit_card",
    "phone": "phone",
    "email": "email",
    "us_ssn": "ssn",
}


def ours(screener: Screener) -> Finder:
    """Our findings in the benchmark's type names."""

    def find(text: str) -> list[Span]:
        verdict = screener.screen({"goal": text}, kind="goal", tenant="bench")
        names = [("ip" if f.type in {"ipv4", "ipv6"} else f.type, f.start, f.end) for f in verdict.findings]
        return [span for span in names if span[0] in KINDS]

    return find


def f1(tp: int, fp: int, fn: int) -> str:
    """`precision / recall / F1`, or a dash when there is nothing to find."""
    if tp + fn == 0:
        return "-"
    precision, recall = tp / max(1, tp + fp), tp / (tp + fn)
    return f"{precision:.3f} / {recall:.3f} / {2 * tp / max(1, 2 * tp + fp + fn):.3f}"


def _spans(rows: list[dict[str, object]], find: Finder) -> dict[str, Counter[str]]:
    counts = {kind: Counter[str]() for kind in KINDS}
    for row in rows:
        text, marked = str(row["text"]), row["spans"]
        assert isinstance(marked, list)  # noqa: S101 - the corpus' documented shape
        wanted = [(_TRUTH[s["type"]], s["start"], s["end"]) for s in marked if s["type"] in _TRUTH]
        found = list(dict.fromkeys(find(text)))
        for kind, start, end in wanted:
            match = next((s for s in found if s[0] == kind and s[1] < end and start < s[2]), None)
            counts[kind]["tp" if match else "fn"] += 1
            if match:
                found.remove(match)
        for kind, _, _ in found:
            counts[kind]["fp"] += 1
    return counts


def _vectors(rows: list[dict[str, object]], find: Finder) -> dict[str, Counter[str]]:
    counts = {kind: Counter[str]() for kind in KINDS}
    for row in rows:
        kind = _VECTORS.get(str(row["recognizer"]))
        if kind is None:
            continue
        wanted, got = int(str(row["expected_count"])), sum(s[0] == kind for s in set(find(str(row["text"]))))
        counts[kind].update(tp=min(wanted, got), fp=max(0, got - wanted), fn=max(0, wanted - got))
    return counts


def table(corpora: Path, screener: Screener) -> str:
    """Both corpora, three engines, one table each (overlap with the marked span counts as found)."""
    finders = {"ours": ours(screener), "Presidio patterns": presidio_patterns(), "000.3 plainly": plain_pii()}
    parts = []
    for name, count in (("pii_dev", _spans), ("pii_vectors_dev", _vectors)):
        rows = [json.loads(line) for line in (corpora / f"{name}.jsonl").read_bytes().splitlines()]
        results = {label: count(rows, find) for label, find in finders.items()}
        lines = [f"**{name}** (precision / recall / F1)", "", "| type | " + " | ".join(results) + " |"]
        lines.append("|---|" + "---|" * len(results))
        for kind in KINDS:
            cells = (f1(c[kind]["tp"], c[kind]["fp"], c[kind]["fn"]) for c in results.values())
            lines.append(f"| {kind} | " + " | ".join(cells) + " |")
        sums = [sum((c[kind] for kind in KINDS), Counter[str]()) for c in results.values()]
        lines.append("| **all six** | " + " | ".join(f1(s["tp"], s["fp"], s["fn"]) for s in sums) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
