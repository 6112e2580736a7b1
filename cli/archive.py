"""`ganglion archive`: take what is over out of the log, or put it back."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.operation import run_beside_keeper


def archive(
    context: typer.Context,
    before: Annotated[
        datetime | None, typer.Option(help="What is older goes, in UTC; at least 8 days ago.", show_default=False)
    ] = None,
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="A new file: FILE.jsonl.gz.")] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how much would go; change nothing.")] = False,
    restore: Annotated[Path | None, typer.Option(metavar="FILE", help="Put back what is in an archive.")] = None,
) -> None:
    """Take the events of tasks that are over out of the database into a file, or put them back; else list the archives.

    Everything runs meanwhile. Prints as JSON what was done; if it was interrupted, the same command goes on.
    """
    if restore is not None and (before is not None or to is not None or dry_run):
        raise typer.BadParameter("it stands alone", param_hint="--restore")
    if before is None and (to is not None or dry_run):
        raise typer.BadParameter("is missing", param_hint="--before")
    if before is not None and (to is None) != dry_run:
        raise typer.BadParameter("give one of --to FILE and --dry-run", param_hint="--before")
    arguments = [] if before is None else ["--before", before.isoformat()]
    arguments += ["--dry-run"] if dry_run else []
    arguments += [] if to is None else ["--to", str(to.absolute())]
    arguments += [] if restore is None else ["--restore", str(restore.absolute())]
    run_beside_keeper(context, "consumers.keeper.archive", arguments, servers=("DATABASE_URL", "NATS_URL"))
