"""How the commands show things: tables and lines for people, JSON for programs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import orjson
from pydantic import JsonValue
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.client import Document


class Format(StrEnum):
    """What `-o` accepts."""

    TABLE = "table"
    JSON = "json"


_COLOURS = {
    "succeeded": "green",
    "partial": "yellow",
    "running": "cyan",
    "blocked": "magenta",
    "failed": "red",
    "timed_out": "red",
    "cancelled": "yellow",
}


@dataclass(frozen=True)
class Output:
    """Standard output in the chosen format; remarks go to standard error, so that JSON stays JSON."""

    format: Format = Format.TABLE
    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    remarks: Console = field(default_factory=lambda: Console(stderr=True, highlight=False, soft_wrap=True))

    @property
    def is_json(self) -> bool:
        """Whether a program reads it."""
        return self.format is Format.JSON

    def document(self, value: JsonValue | Document) -> None:
        """One JSON value on one line."""
        self.console.out(orjson.dumps(value).decode(), highlight=False)

    def line(self, text: str | Text) -> None:
        """One line for people; markup in it is shown, not obeyed."""
        self.console.print(Text(text) if isinstance(text, str) else text)

    def remark(self, text: str) -> None:
        """Something beside the result."""
        self.remarks.print(Text(text, style="dim"))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table without frames, as wide as it needs to be."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, no_wrap=True)
        for row in rows:
            table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
        self.console.print(table, crop=False)


def coloured(status: str) -> Text:
    """A status in its colour."""
    return Text(status, style=_COLOURS.get(status, ""))
