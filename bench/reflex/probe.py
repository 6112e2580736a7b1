"""The own probes: texts of styles that the corpora lack, written for this project and never trained on."""

from __future__ import annotations

from pathlib import Path

import yaml

from bench.reflex.injection import Judge
from screening import Screener

_FOLDER = Path(__file__).parent / "probe"


def texts(name: str) -> dict[str, list[str]]:
    """A probe's texts by style: `attacks` or `benign` of the first, `second-attacks` or `second-benign`."""
    styles = yaml.safe_load((_FOLDER / f"{name}.yaml").read_text("utf-8"))
    return {str(style): list(map(str, of)) for style, of in styles.items()}


def _row(style: str, label: str, results: list[tuple[bool, bool]]) -> str:
    flagged, blocked = (sum(one[part] for one in results) / len(results) for part in (0, 1))
    return f"| {style.replace('_', ' ')} | {label} | {len(results)} | {flagged:.3f} | {blocked:.3f} |"


def table(screener: Screener, prefix: str = "") -> str:
    """Flagged and blocked by style, with the shipped weights; the second probe's files begin with a prefix."""
    judge = Judge(screener)
    lines = ["| style | label | texts | flagged | blocked |", "|---|---|---|---|---|"]
    for name, label in (("attacks", "attack"), ("benign", "benign")):
        every: list[tuple[bool, bool]] = []
        for style, of in texts(prefix + name).items():
            results = [judge.shipped(text) for text in of]
            every += results
            lines.append(_row(style, label, results))
        lines.append(_row("**all**", label, every))
    return "\n".join(lines)
