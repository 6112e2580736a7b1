"""`ganglion logs`: what the processes of the local stack wrote."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import CommandError
from cli.output import Output
from cli.session import Session, run

_EVERY = 0.2  # seconds
_TAIL = 64 * 1024  # bytes


def logs(
    context: typer.Context,
    role: Annotated[str | None, typer.Argument(help="gateway, consumers, nats, … (default: all).")] = None,
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as more is written.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many lines to begin with.")] = 50,
) -> None:
    """Show the last lines of the logs."""
    session = Session.of(context)
    run(_show(session.output, files(session.settings.home / "logs", role), lines=lines, follow=follow))


def files(folder: Path, role: str | None) -> dict[str, Path]:
    """The log of a role, or of each; raises CommandError when there is none."""
    found = {path.stem: path for path in sorted(folder.glob("*.log"))}
    if role is None and found:
        return found
    if role in found:
        return {role: found[role]}
    known = f"; there are logs of {', '.join(found)}" if found else ""
    raise CommandError(f"no log of {role or 'anything'} in {folder}{known}")


async def _show(output: Output, logs: Mapping[str, Path], *, lines: int, follow: bool) -> int:
    prefixes = {name: f"{name:10} | " if len(logs) > 1 else "" for name in logs}
    places = {}
    for name, path in logs.items():
        last, places[name] = last_lines(path, lines)
        for line in last:
            output.line(prefixes[name] + line)
    while follow:
        await asyncio.sleep(_EVERY)
        for name, path in logs.items():
            added, places[name] = added_since(path, places[name])
            for line in added:
                output.line(prefixes[name] + line)
    return 0


def last_lines(path: Path, count: int) -> tuple[list[str], int]:
    """The last lines (within 64 KiB) and where the file ends."""
    with path.open("rb") as log:
        end = log.seek(0, 2)
        log.seek(max(0, end - _TAIL))
        text = log.read(_TAIL).decode(errors="replace")
    return (text.splitlines()[-count:] if count else []), end


def added_since(path: Path, place: int) -> tuple[list[str], int]:
    """Complete lines written behind `place`, and the new place; a file cut short by rotation starts over."""
    with path.open("rb") as log:
        if log.seek(0, 2) < place:
            place = 0
        log.seek(place)
        data = log.read()
    complete = data[: data.rfind(b"\n") + 1]
    return complete.decode(errors="replace").splitlines(), place + len(complete)
