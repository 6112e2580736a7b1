"""How the commands show things: tables and lines for people, JSON for programs."""

import json
from collections.abc import Callable, Sequence
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

_NARROWEST, _WIDEST = 32, 160
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n\r"}


def visible(text: str) -> str:
    """The text with control characters spelled out: what an agent answers must not steer the reader's terminal."""
    return text.translate(_CONTROLS)


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
        plain = self.console.encoding.startswith("utf")
        self.console.out(orjson.dumps(value).decode() if plain else json.dumps(value), highlight=False)

    def line(self, text: str | Text) -> None:
        """One line for people; markup and control characters in it are shown, not obeyed."""
        self.console.print(Text(visible(text)) if isinstance(text, str) else text)

    def remark(self, text: str) -> None:
        """Something beside the result."""
        self.remarks.print(Text(visible(text), style="dim"))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table without frames; a narrow terminal shortens the last column only, and that to 32 at least."""
        rows = [[visible(cell) for cell in row] for row in rows]
        *fixed, last = zip(columns, *rows, strict=True)
        widths = [max(len(cell) for cell in column) for column in fixed]
        needed = sum(widths) + 2 * len(widths)
        room = self.console.width - needed if self.console.is_terminal else _WIDEST
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for column, width in zip(columns, widths, strict=False):
            table.add_column(column, no_wrap=True, width=width)
        table.add_column(last[0], no_wrap=True, overflow="ellipsis", max_width=max(room, _NARROWEST))
        for row in rows:
            table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
        wide = Console(file=self.console.file, width=needed + max(room, _NARROWEST), highlight=False)
        wide.print(table)

    def page(self, page: Document, columns: Sequence[str], row: Callable[[Document], Sequence[str]]) -> None:
        """One page of a list as the gateway gave it, `{items, next_cursor}`, and how to get the next one."""
        if self.is_json:
            self.document(page)
            return
        items = page.get("items")
        found = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
        self.table(columns, [row(item) for item in found])
        if page.get("next_cursor"):
            self.remark(f"more: --cursor {page['next_cursor']}")


def coloured(status: str) -> Text:
    """A status in its colour."""
    return Text(status, style=_COLOURS.get(status, ""))
