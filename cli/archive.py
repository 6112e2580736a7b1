"""`ganglion archive`: take what is over out of the log, or put it back."""

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.place import runtime
from cli.session import Session

_PROJECT = Path(__file__).resolve().parents[1]


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
    done = subprocess.run(  # noqa: S603 - an operator's own words, and no shell
        [sys.executable, "-m", "consumers.keeper.archive", *arguments],
        cwd=_PROJECT,
        env=os.environ | _servers(context),
        stdout=subprocess.PIPE,  # as in `rebuild`
        check=False,
    )
    typer.echo(done.stdout, nl=False)
    raise typer.Exit(done.returncode)


def _servers(context: typer.Context) -> dict[str, str]:
    """Where database and log are: as the environment says, else those of the local stack."""
    given = {name: os.environ[name] for name in ("DATABASE_URL", "NATS_URL") if os.environ.get(name)}
    if len(given) == 2:
        return given
    local = runtime(Session.of(context).settings)
    return {"DATABASE_URL": local.database_url, "NATS_URL": local.nats_url} | given
