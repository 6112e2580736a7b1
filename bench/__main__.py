"""`python -m bench`: the floor, Ganglion and its peers in one run, as a table and as bench/latest.json."""

from enum import StrEnum
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from bench.beside import installed
from bench.report import save, show
from bench.rounds import run
from cli.session import tidy


class Part(StrEnum):
    """A part of the run; the floor is measured with each."""

    FLOOR = "floor"
    ACCEPT = "accept"
    E2E = "e2e"
    PEERS = "peers"
    SOCKETS = "sockets"
    REFINEMENTS = "refinements"
    CHAT = "chat"
    ROUTING = "routing"


def measure(
    only: Annotated[list[Part] | None, typer.Option(help="Measure only this part (repeatable).")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Repeats; rates are medians over them.")] = 3,
) -> None:
    """Measure Ganglion next to the raw floor of the same servers, and other task queues on them."""
    wanted = frozenset(part.value for part in only or list(Part))
    progress = Console(stderr=True)
    if Part.PEERS in wanted and not installed():
        progress.print("peers: not run, for they are not installed (`make bench` does that)")
        wanted -= {Part.PEERS.value}
        if not wanted:
            raise typer.Exit(1)
    rows = uvloop.run(tidy(run(wanted, rounds, lambda text: progress.print(f"[dim]{text}"))))
    show(rows, Console())
    if only is None:
        save(rows)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(measure)

if __name__ == "__main__":
    app()
