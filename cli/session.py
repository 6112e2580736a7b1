"""What every command is given: where to talk to, and how to show things."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field

import typer

from cli.output import Output
from cli.place import ClientSettings, Place, place

_INTERRUPTED = 130


@dataclass(frozen=True)
class Session:
    """One invocation of the command."""

    output: Output
    settings: ClientSettings = field(default_factory=ClientSettings)

    @property
    def place(self) -> Place:
        """The gateway; raises CommandError when there is none."""
        return place(self.settings)

    @staticmethod
    def of(context: typer.Context) -> "Session":
        """The session that the root command has made."""
        found = context.find_object(Session)
        return found or Session(Output())


def run(work: Coroutine[None, None, int]) -> None:
    """Run a command's work and exit with its code; Ctrl-C ends it quietly with 130."""
    try:
        code = asyncio.run(work)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    raise typer.Exit(code)
