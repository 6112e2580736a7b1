"""`python -m bench.reflex CORPORA [LOGITS] [--only WORD]`: all tables of docs/reflex.md, written between its markers.

With `--only` those tables are measured anew that have the word in their title, and the others stay as they are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

from bench.reflex import documents, injection, pii, probe, speed
from bench.reflex import page as page_of
from screening import Screener

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reflex.md"


def main() -> None:
    """Measure, print, and put the tables into the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.reflex")
    parser.add_argument("corpora", type=Path)
    parser.add_argument("logits", type=Path, nargs="?")
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    rows = json.loads(asked.logits.read_text()) if asked.logits else None
    known = {row["index"]: row["logit"] for row in rows} if rows else None
    corpora, screener = asked.corpora, Screener()
    logits = cache(lambda: injection.held_out_logits(corpora, known))
    tables: dict[str, Callable[[], str]] = {
        "Injections, by held-out source": lambda: injection.table(logits(), screener),
        "Own texts, by held-out slice": lambda: injection.table(logits(), screener, own=True),
        "Own probe": lambda: probe.table(screener),
        "Own probe, the second": lambda: probe.table(screener, "second-"),
        "Disguises": lambda: injection.disguised(corpora, screener),
        "Long documents": lambda: documents.table(corpora, screener),
        "Personal data": lambda: pii.table(corpora, screener),
        "Cost of a verdict (CPU time, one core)": lambda: speed.by_length(corpora, screener),
        "Hostile text": lambda: speed.hostile(corpora, screener),
    }
    page = page_of.rewritten(PAGE.read_text("utf-8"), screener.rules_version, tables, asked.only)
    print(page.partition(page_of.START)[2].partition(page_of.END)[0])
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
