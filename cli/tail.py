"""`ganglion tail`: everything that happens to your tasks, live."""

from contextlib import aclosing
from typing import Annotated

import typer

from cli.session import Session, run
from cli.stream import Snapshot, Subscription
from cli.telling import entry


def tail(
    context: typer.Context,
    after: Annotated[
        str | None,
        typer.Option(metavar="CURSOR", help="Begin behind this cursor; 0 is the beginning of all that is kept."),
    ] = None,
) -> None:
    """Show events as they happen, until Ctrl-C; a lost connection goes on at the last event seen."""
    run(_tail(Session.of(context), after))


async def _tail(session: Session, after: str | None) -> int:
    output = session.output
    subscription = Subscription(session.place, "tasks", after=after, say=output.remark)
    async with aclosing(subscription.follow()) as happenings:  # closed in order also when nobody reads our output
        async for told in happenings:
            if isinstance(told, Snapshot):
                output.remark(f"older events are no longer kept; going on at {told.cursor}")
            elif output.is_json:
                output.document(told.model_dump(mode="json"))
            else:
                output.line(entry(told))
    return 0
