"""`python -m bench.reflex CORPORA [LOGITS] [SECTION ...]`: the tables of docs/reflex.md, written between its markers.

With sections (the first word of a title is enough) only these are measured and exchanged, and the rest stays.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from bench.reflex import documents, injection, pii, probe, speed
from screening import Screener

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reflex.md"
START, END = "<!-- figures: written by make bench-reflex -->", "<!-- end of figures -->"


def main() -> None:
    """Measure, print, and put the tables into the page."""
    corpora, names = Path(sys.argv[1]), sys.argv[2:]
    logits = None
    if names and names[0].endswith(".json"):
        logits = {row["index"]: row["logit"] for row in json.loads(Path(names.pop(0)).read_text())}
    screener = Screener()
    sections: dict[str, Callable[[], str]] = {
        "Injections, by held-out source": lambda: injection.table(corpora, screener, logits),
        "Own probe": lambda: probe.table(screener),
        "Disguises": lambda: injection.disguised(corpora, screener),
        "Long documents": lambda: documents.table(corpora, screener),
        "Personal data": lambda: pii.table(corpora, screener),
        "Cost of a verdict (CPU time, one core)": lambda: speed.by_length(corpora, screener),
        "Hostile text": lambda: speed.hostile(corpora, screener),
    }
    page = PAGE.read_text("utf-8")
    head, _, rest = page.partition(START)
    before, _, tail = rest.partition(END)
    bodies = _bodies(before)
    for title, measure in sections.items():
        if not names or any(title.startswith(name) for name in names):
            bodies[title] = measure()
            print(f"### {title}\n\n{bodies[title]}\n")
    figures = "\n\n".join(f"### {title}\n\n{bodies[title]}" for title in sections if title in bodies)
    figures = f"Rules {screener.rules_version}.\n\n{figures}"
    PAGE.write_text(head + START + "\n\n" + figures + "\n\n" + END + tail, "utf-8")


def _bodies(figures: str) -> dict[str, str]:
    """The tables that the page has, by title."""
    parts = (part.partition("\n") for part in figures.split("\n### ")[1:])
    return {title: body.strip() for title, _, body in parts}


if __name__ == "__main__":
    main()
