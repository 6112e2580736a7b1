"""The tables of docs/reflex.md: written between two marks, each under its title."""

from __future__ import annotations

from collections.abc import Callable, Mapping

START, END = "<!-- figures: written by make bench-reflex -->", "<!-- end of figures -->"


def rewritten(page: str, version: str, tables: Mapping[str, Callable[[], str]], only: str = "") -> str:
    """The page with its tables measured anew, or with `only` those that have it in their title.

    The version in the first line is that of all tables, and stays when only some are measured.
    """
    head, _, rest = page.partition(START)
    figures, _, tail = rest.partition(END)
    kept = dict(_sections(figures))
    bodies = {title: table() if only in title else kept[title] for title, table in tables.items()}
    first = figures.strip().partition("\n")[0] if only else f"Rules {version}."
    text = "\n\n".join((first, *(f"### {title}\n\n{body}" for title, body in bodies.items())))
    return f"{head}{START}\n\n{text}\n\n{END}{tail}"


def _sections(figures: str) -> list[tuple[str, str]]:
    parts = (part.partition("\n") for part in figures.split("### ")[1:])
    return [(title, body.strip()) for title, _, body in parts]
