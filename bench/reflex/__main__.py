"""`python -m bench.reflex CORPORA [LOGITS]`: all tables of docs/reflex.md, written between its markers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.reflex import documents, injection, pii, speed
from screening import Screener

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reflex.md"
START, END = "<!-- figures: written by make bench-reflex -->", "<!-- end of figures -->"


def main() -> None:
    """Measure, print, and put the tables into the page."""
    corpora = Path(sys.argv[1])
    logits = None
    if len(sys.argv) > 2:
        logits = {row["index"]: row["logit"] for row in json.loads(Path(sys.argv[2]).read_text())}
    screener = Screener()
    sections = {
        "Injections, by held-out source": injection.table(corpora, screener, logits),
        "Disguises": injection.disguised(corpora, screener),
        "Long documents": documents.table(corpora, screener),
        "Personal data": pii.table(corpora, screener),
        "Cost of a verdict (CPU time, one core)": speed.by_length(corpora, screener),
        "Hostile text": speed.hostile(corpora, screener),
    }
    figures = "\n\n".join(f"### {title}\n\n{body}" for title, body in sections.items())
    figures = f"Rules {screener.rules_version}.\n\n{figures}"
    print(figures)
    page = PAGE.read_text("utf-8")
    head, _, rest = page.partition(START)
    PAGE.write_text(head + START + "\n\n" + figures + "\n\n" + END + rest.partition(END)[2], "utf-8")


if __name__ == "__main__":
    main()
