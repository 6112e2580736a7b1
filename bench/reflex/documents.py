"""Long documents: how many harmless ones are flagged or blocked, and what becomes of injections buried in them."""

from __future__ import annotations

import json
import random
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from screening import Screener
from screening.decide import injection_blockers
from screening.training import grammar

ROOT = Path(__file__).resolve().parents[2]
_LONG, _SHORT_ATTACK, _ATTACKS = 3_000, 900, 60
SIZES = (5_000, 20_000, 100_000)


def _installed() -> Iterable[str]:
    """The descriptions of the installed packages: documents that nothing here was written for."""
    site = Path(sysconfig.get_paths()["purelib"])
    return [path.read_text("utf-8", "replace") for path in sorted(site.glob("*.dist-info/METADATA"))]


def _ours() -> Iterable[str]:
    return [
        path.read_text("utf-8")
        for path in (ROOT / "README.md", ROOT / "LICENSE", *sorted((ROOT / "docs").rglob("*.md")))
    ]


class _Judge:
    def __init__(self, screener: Screener) -> None:
        self._screener = screener
        self._profile = screener.policy.profile(tenant="bench", kind="goal")

    def __call__(self, text: str) -> tuple[bool, bool]:
        """Flagged and blocked as an injection."""
        verdict = self._screener.screen({"goal": text}, kind="goal", tenant="bench")
        return verdict.injection_score >= 0.5, bool(injection_blockers(verdict.findings, self._profile))


def _row(name: str, results: list[tuple[bool, bool]]) -> str:
    count = max(1, len(results))
    flagged, blocked = sum(a for a, _ in results), sum(b for _, b in results)
    return f"| {name} | {len(results)} | {flagged / count:.3f} | {blocked / count:.3f} |"


def table(corpora: Path, screener: Screener) -> str:
    """Harmless documents of 3,000 characters and more, then attacks alone and at a random place of such documents.

    The documents around an attack are none that is flagged by itself; what several of them in a row are is shown.
    """
    judge, rng = _Judge(screener), random.Random(3)
    installed = [text for text in _installed() if len(text) >= _LONG]
    lines = ["| texts | number | flagged | blocked |", "|---|---|---|---|"]
    lines.append(_row("descriptions of installed packages", [judge(text) for text in installed]))
    lines.append(_row("documents of this project", [judge(text) for text in _ours() if len(text) >= _LONG]))
    rows = [json.loads(line) for line in (corpora / "injection_dev.jsonl").read_bytes().splitlines()]
    real = [row["text"] for row in rows if row["label"] and len(row["text"]) < _SHORT_ATTACK]
    attacks = rng.sample(real, _ATTACKS) + rng.sample(list(grammar.attacks(random.Random(99), 300)), _ATTACKS)
    lines.append(_row("attacks by themselves", [judge(text) for text in attacks]))
    pool = "\n".join(text for text in installed if not judge(text)[0])
    for size in SIZES:
        without, results = [], []
        for attack in attacks:
            start = rng.randrange(max(1, len(pool) - size))
            document = pool[start : start + size]
            at = document.find("\n", rng.randrange(size * 9 // 10))
            without.append(judge(document))
            results.append(judge(f"{document[:at]}\n{attack}\n{document[at:]}"))
        lines.append(_row(f"{size // 1000} KB of harmless documents", without))
        lines.append(_row(f"the attacks in {size // 1000} KB of them", results))
    return "\n".join(lines)
