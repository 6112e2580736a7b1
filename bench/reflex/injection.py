"""Injections by held-out source, false positives on harmless texts, and what disguises cost in recall."""

from __future__ import annotations

import base64
import codecs
import json
import math
import urllib.parse
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from bench.reflex.baseline import plain_injection
from screening import Screener, Verdict
from screening.decide import injection_blockers
from screening.model import RANK
from screening.readings import DATA_FAMILIES
from screening.training.matrix import Text
from screening.training.train import OWN_SOURCE, Fits, corpus, held_out

_ALIKE = str.maketrans("aeopcxisyj", "аеорсхіѕуј")  # noqa: RUF001 - look-alikes are the point


def _rot13(text: str) -> str:
    return codecs.encode(text, "rot13")


_LEET = str.maketrans("aeiost", "431057")
_HEAVY_LEET = str.maketrans("abegilostABEGILOST", "483911057483911057")


def _in_pieces(text: str) -> str:
    return " ".join(f"{word[: len(word) // 2]}-{word[len(word) // 2 :]}" if word[3:] else word for word in text.split())


DISGUISES: dict[str, Callable[[str], str]] = {
    "base64": lambda t: base64.b64encode(t.encode()).decode(),
    "hex": lambda t: t.encode().hex(),
    "percent": lambda t: "".join(f"%{byte:02X}" for byte in t.encode()),
    "HTML entities": lambda t: "".join(f"&#{ord(char)};" for char in t),
    "rot13": _rot13,
    "rot13, cued": lambda t: "rot13: " + codecs.encode(t, "rot13"),
    "homoglyphs": lambda t: t.translate(_ALIKE),
    "zero-width": "\u200b".join,
    "leetspeak": lambda t: t.translate(_LEET),
    "heavy leetspeak": lambda t: t.translate(_HEAVY_LEET),
    "words in pieces": _in_pieces,
    "full-width": lambda t: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in t),
    "Unicode tags": lambda t: "".join(chr(0xE0000 + ord(c)) if " " <= c <= "~" else c for c in t),
    "URL-quoted": urllib.parse.quote,
}


def _logit(score: float) -> float:
    return math.log(max(score, 1e-9) / max(1 - score, 1e-9))


class Judge:
    """The shipped engine's judgement with the classifier's logit exchanged for one of a held-out model."""

    def __init__(self, screener: Screener) -> None:
        self._screener = screener
        self._profile = screener.policy.profile(tenant="bench", kind="goal")

    def verdict(self, text: str) -> Verdict:
        """The shipped verdict, held to injections."""
        return self._screener.screen({"goal": text}, kind="goal", tenant="bench")

    def shipped(self, text: str) -> tuple[bool, bool]:
        """Flagged and blocked by the engine as shipped."""
        verdict = self.verdict(text)
        findings = [f for f in verdict.findings if f.family not in DATA_FAMILIES]
        return verdict.injection_score >= 0.5, bool(injection_blockers(findings, self._profile))

    def rules(self, text: str) -> tuple[bool, bool]:
        """Flagged (something at High) and blocked by the rules alone."""
        findings = [f for f in self.verdict(text).findings if f.family not in DATA_FAMILIES | {"classifier"}]
        return any(RANK[f.severity] >= RANK["high"] for f in findings), bool(
            injection_blockers(findings, self._profile)
        )

    def held_out(self, text: str, logit: float) -> tuple[bool, bool]:
        """Flagged and blocked with the rules as they are and the given logit for the classifier."""
        verdict = self.verdict(text)
        rules = [f for f in verdict.findings if f.family not in DATA_FAMILIES | {"classifier"}]
        score = self._screener.score_of(rules, logit)
        injection = self._profile.injection
        blocked = bool(injection_blockers(rules, self._profile)) or score >= injection.block_score
        return score >= injection.flag_score, blocked


def _shares(rows: dict[tuple[str, int], list[tuple[bool, bool]]], label: int) -> tuple[int, int, int]:
    chosen = [pair for (_, of), pairs in rows.items() if of == label for pair in pairs]
    return len(chosen), sum(a for a, _ in chosen), sum(b for _, b in chosen)


def _summary(name: str, rows: dict[tuple[str, int], list[tuple[bool, bool]]]) -> str:
    attacks, hit, _ = _shares(rows, 1)
    benign, false, false_blocks = _shares(rows, 0)
    precision, recall = hit / max(1, hit + false), hit / attacks
    score = 2 * precision * recall / max(1e-9, precision + recall)
    wrong = f"{false / benign:.4f} | {false_blocks / benign:.4f}"
    return f"| {name} | {precision:.3f} | {recall:.3f} | **{score:.3f}** | {wrong} |"


Logits = list[tuple[Text, float]]
"""Texts, each with the classifier's logit from a model that saw nothing of its source."""


def held_out_logits(corpora: Path, known: dict[int, float] | None) -> Logits:
    """Those that training left behind (`known`, by index), or trained anew: that takes some minutes.

    Raises ValueError if they are not of these texts.
    """
    texts = corpus(corpora)
    if known and known.keys() != {index for index, text in enumerate(texts) if not text.derived}:
        raise ValueError("the held-out logits are of other texts: run make train-reflex")
    return [(texts[index], logit) for index, logit in (known or held_out(Fits(texts))).items()]


def table(logits: Logits, screener: Screener, *, own: bool = False) -> str:
    """Per source and in all: rules alone, everything with the source held out, and 000.3 read plainly.

    Of the corpora, or of our `own` texts, slice by slice.
    """
    judge, plain = Judge(screener), plain_injection()
    engines: dict[str, Callable[[Text, float], tuple[bool, bool]]] = {
        "ours, source held out": lambda t, logit: judge.held_out(t.text, logit),
        "our rules alone": lambda t, _: judge.rules(t.text),
        "000.3 plainly": lambda t, _: plain(t.text),
    }
    results = {name: defaultdict[tuple[str, int], list[tuple[bool, bool]]](list) for name in engines}
    for text, logit in logits:
        if text.source.startswith(OWN_SOURCE) != own:
            continue
        for name, engine in engines.items():
            results[name][text.source, text.label].append(engine(text, logit))
    lines = ["| source | label | texts | " + " | ".join(f"{name}: flagged / blocked" for name in engines) + " |"]
    lines.append("|---|---|---|" + "---|" * len(engines))
    for source, label in sorted(results["our rules alone"], key=lambda key: (-key[1], key[0])):
        cells = [results[name][source, label] for name in engines]
        shares = (f"{sum(a for a, _ in c) / len(c):.3f} / {sum(b for _, b in c) / len(c):.3f}" for c in cells)
        lines.append(f"| {source} | {'attack' if label else 'benign'} | {len(cells[0])} | " + " | ".join(shares) + " |")
    lines += ["", "| all sources | precision | recall | F1 | false flags | false blocks |", "|---|---|---|---|---|---|"]
    lines += [_summary(name, rows) for name, rows in results.items()]
    return "\n".join(lines)


def disguised(corpora: Path, screener: Screener) -> str:
    """Of the attacks flagged as they stand, the share still flagged under each disguise (shipped weights)."""
    rows = [json.loads(line) for line in (corpora / "injection_dev.jsonl").read_bytes().splitlines()]
    judge = Judge(screener)
    short = [r["text"] for r in rows if r["label"] and r["text"].isascii() and len(r["text"]) < 1500][::3]
    known = [text for text in short if judge.shipped(text)[0]]
    harmless = [r["text"] for r in rows if not r["label"] and r["text"].isascii() and len(r["text"]) < 1500][::12]
    lines = ["| disguise | recall kept | harmless texts flagged |", "|---|---|---|"]
    for name, disguise in DISGUISES.items():
        kept = sum(judge.shipped(disguise(text))[0] for text in known) / len(known)
        wrong = sum(judge.shipped(disguise(text))[0] for text in harmless) / len(harmless)
        lines.append(f"| {name} | {kept:.3f} | {wrong:.3f} |")
    return f"{len(known)} attacks, {len(harmless)} harmless texts.\n\n" + "\n".join(lines)
