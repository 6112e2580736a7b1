"""`ganglion dlq`: what consumers gave up on. Needs a token with the scope admin."""

from typing import Annotated

import typer

from cli.client import Document, Gateway
from cli.session import Session, run

app = typer.Typer(help="List, show, replay and discard dead letters (scope admin).", no_args_is_help=True)

_COLUMNS = ("number", "time", "consumer", "deliveries", "task", "event", "reason")
_SHOWN = (
    *("number", "time", "consumer", "reason", "deliveries", "cursor", "subject", "event_type", "event_id"),
    *("event_source", "owner", "task_id", "size", "sha256"),
)
Number = Annotated[int, typer.Argument(min=1, help="The letter's number, as `ls` shows it.")]


@app.command("ls")
def list_letters(
    context: typer.Context,
    consumer: Annotated[str | None, typer.Option(help="Only letters of this consumer.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 50,
    cursor: Annotated[int, typer.Option(min=0, help="Where the page before ended.")] = 0,
) -> None:
    """List dead letters, oldest first."""
    filters = {"limit": str(limit), "cursor": str(cursor)}
    if consumer is not None:
        filters["consumer"] = consumer
    run(_list(Session.of(context), filters))


@app.command("show")
def show_letter(context: typer.Context, number: Number) -> None:
    """Show one letter; its bytes only if they are no event."""
    run(_show(Session.of(context), number))


@app.command("replay")
def replay_letter(context: typer.Context, number: Number) -> None:
    """Give the event to its consumer once more, and let the task that the letter ended go on."""
    run(_replay(Session.of(context), number))


@app.command("discard")
def discard_letter(context: typer.Context, number: Number) -> None:
    """Throw one letter away; the event itself stays in the log."""
    run(_discard(Session.of(context), number))


async def _list(session: Session, filters: dict[str, str]) -> int:
    async with Gateway(session.place) as gateway:
        page = await gateway.letters(filters)
    session.output.page(page, _COLUMNS, _row)
    return 0


async def _show(session: Session, number: int) -> int:
    async with Gateway(session.place) as gateway:
        letter = await gateway.letter(number)
    if session.output.is_json:
        session.output.document(letter)
        return 0
    for name in _SHOWN:
        if letter.get(name) is not None:
            session.output.line(f"{name:13} {letter[name]}")
    if letter.get("body"):
        session.output.line(f"\n{letter['body']}")
    return 0


async def _replay(session: Session, number: int) -> int:
    async with Gateway(session.place) as gateway:
        answer = await gateway.replay_letter(number)
    if session.output.is_json:
        session.output.document(answer)
        return 0
    about = f"; task {answer['task_id']}: {answer['task']}" if answer.get("task_id") else ""
    session.output.line(f"letter {number} replayed{about}")
    return 0


async def _discard(session: Session, number: int) -> int:
    async with Gateway(session.place) as gateway:
        await gateway.discard_letter(number)
    if session.output.is_json:
        session.output.document({"number": number, "discarded": True})
    else:
        session.output.line(f"letter {number} discarded")
    return 0


def _row(letter: Document) -> tuple[str, ...]:
    event = str(letter.get("event_type") or "").removeprefix("io.ganglion.").removesuffix(".v1")
    return (
        str(letter.get("number")),
        str(letter.get("time") or "")[:19].replace("T", " "),
        str(letter.get("consumer")),
        str(letter.get("deliveries")),
        str(letter.get("task_id") or ""),
        event or "(no event)",
        str(letter.get("reason")),
    )
