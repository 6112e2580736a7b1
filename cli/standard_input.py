"""Standard input, for the commands that read it."""

import sys
from typing import TextIO

import typer

from cli.errors import MISUSED, CommandError


def standard_input() -> TextIO:
    """Raises CommandError when whoever called us has closed it."""
    if sys.stdin is None:
        raise CommandError("standard input is closed", exit_code=MISUSED)
    return sys.stdin


def all_of_it() -> str:
    """The text that is piped in. Raises CommandError when there is none, or it is no text."""
    try:
        standard_input()
        return typer.get_text_stream("stdin").read()  # which knows better than a locale that says ASCII
    except UnicodeDecodeError as error:
        raise CommandError(f"standard input cannot be read as text: {error}", exit_code=MISUSED) from None
