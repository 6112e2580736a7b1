"""The `ganglion` command: all its commands, and what they end with."""

import io
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from cli import archive, contract, demo, dlq, doctor, logs, operation, screen, submit, tail, tasks
from cli.errors import FAILED, CommandError
from cli.output import Format, Output, visible
from cli.session import Session

app = typer.Typer(
    name="ganglion",
    help="Ganglion: the event bus for agent work.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    context: typer.Context,
    output: Annotated[Format, typer.Option("-o", "--output", help="How results are shown.")] = Format.TABLE,
) -> None:
    """Ganglion: the event bus for agent work."""
    context.obj = Session(Output(output))


app.command()(operation.up)
app.command()(demo.demo)
app.command()(submit.submit)
app.command()(tail.tail)
app.add_typer(tasks.app, name="tasks")
app.add_typer(dlq.app, name="dlq")
app.command()(doctor.doctor)
app.command()(screen.screen)
app.add_typer(contract.app, name="contract")
app.command()(operation.token)
app.command()(operation.status)
app.command()(logs.logs)
app.command()(operation.rebuild)
app.command()(archive.archive)


def run(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 failed, 2 misuse, 3 blocked, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    _spell_out()
    try:
        app(args=output_first(given), prog_name="ganglion")
    except CommandError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except OSError as error:  # a state folder that is none or somebody else's, a full disk under the output
        _complain(str(error) or repr(error))
        sys.exit(FAILED)


def _spell_out() -> None:
    """What a terminal's encoding has no letters for is shown as its code, and ends nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _complain(text: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text.assemble(("error: ", "red"), visible(text)))


def output_first(arguments: Sequence[str]) -> list[str]:
    """The arguments with `-o json` in front, so that it may stand anywhere before a `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    moved, kept = [], []
    words = iter(arguments[:end])
    for word in words:
        if word in {"-o", "--output"}:
            moved += [word, *([value] if (value := next(words, None)) is not None else [])]
        elif word.startswith(("--output=", "-o=")):
            moved += ["--output", word.partition("=")[2]]
        elif word in {f"-o{value}" for value in Format}:
            moved += ["--output", word[2:]]
        else:
            kept.append(word)
    return [*moved, *kept, *arguments[end:]]
