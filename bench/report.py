"""The figures as a table for people and as `bench/latest.json` for comparisons."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.figures import Row

_MUCH = 8.0  # percent; the kernel's own threads take a few
LATEST = Path(__file__).parent / "latest.json"


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the rows; the ratio is the share of the floor of the same run."""
    table = Table(title="Ganglion next to the raw floor of the same run")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("ratio to floor", justify="right")
    for row in rows:
        ratio = "" if row.ratio is None else (f"{row.ratio:.4f}" if row.ratio < 10 else f"{row.ratio:,.0f}")
        table.add_row(row.name, _readable(row.value), row.unit, ratio)
    console.print(table)
    foreign = next((row.value for row in rows if row.name == "e2e.foreign_cpu"), 0.0)
    if foreign > _MUCH:
        console.print(f"Other processes took up to {foreign:.0f} % of the machine: rates and latencies are too bad.")


def save(rows: Sequence[Row], path: Path = LATEST) -> None:
    """Write `{"rows": [{"name", "value", "unit", "ratio"}]}`, replacing the file of the run before."""
    path.write_text(json.dumps({"rows": [asdict(row) for row in rows]}, indent=1) + "\n")


def _readable(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
