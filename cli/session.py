"""What every command is given: where to talk to, and how to show things."""

import asyncio
import signal
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import TypeVar

import typer

from cli.output import Output
from cli.place import ClientSettings, Place, place

_INTERRUPTED, _TERMINATED = 130, 143

Result = TypeVar("Result")


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
    """Run a command's work and exit with its code; Ctrl-C ends it quietly with 130, SIGTERM with 143."""
    try:
        code = asyncio.run(tidy(work))
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except asyncio.CancelledError:
        code = _TERMINATED
    raise typer.Exit(code)


async def tidy(work: Coroutine[None, None, Result]) -> Result:
    """Do the work; SIGTERM cancels it, so that what it has started is stopped and its folders are deleted."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work
