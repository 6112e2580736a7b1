"""`ganglion contract check`: whether an event would be taken, by the schemas that the gateway serves."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import typer
from jsonschema import Draft202012Validator
from pydantic import JsonValue, TypeAdapter

from cli.client import Document
from cli.errors import MISUSED, CommandError
from cli.session import Session, run
from cli.standard_input import all_of_it

app = typer.Typer(help="Check events before they are published.", no_args_is_help=True)

_TIMEOUT = 10.0
_MAX_BYTES = 4 * 1024 * 1024
_SHOWN = 10
_documents = TypeAdapter(list[Document])


@dataclass(frozen=True, slots=True)
class Checked:
    """One event: which it is, and what is wrong with it."""

    name: str
    faults: tuple[str, ...]


class Contract:
    """The served schemas, fetched as they are needed."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._types: dict[str, Document] = {}
        self._validators: dict[str, Draft202012Validator] = {}

    async def check(self, event: JsonValue) -> Checked:
        """What the gateway would say to one event."""
        if not self._types:
            index = await self._get("/schemas")
            items = _documents.validate_python(index["items"])
            self._types = {str(item["type"]): item for item in items}
        envelope = await self._faults("/schemas/cloudevent/v1", event, "")
        if not isinstance(event, dict):
            return Checked("?", envelope)
        kind = event.get("type")
        if not isinstance(kind, str):
            return Checked("without a type", envelope)
        known = self._types.get(kind)
        if known is None or not known["sent"]:
            taken = ", ".join(sorted(kind for kind, item in self._types.items() if item["sent"]))
            why = "is announced, never sent" if known else "is not known"
            return Checked(kind, (*envelope, f"type: {kind} {why}; these are taken: {taken}"))
        return Checked(kind, (*envelope, *await self._faults(str(known["schema"]), event.get("data"), "data")))

    async def _faults(self, path: str, value: JsonValue, where: str) -> tuple[str, ...]:
        if path not in self._validators:
            self._validators[path] = Draft202012Validator(await self._get(path))
        found = sorted(self._validators[path].iter_errors(value), key=lambda error: list(map(str, error.path)))
        return tuple(
            f"{'.'.join([where, *map(str, error.absolute_path)]).strip('.') or 'event'}: {error.message[:200]}"
            for error in found[:_SHOWN]
        )

    async def _get(self, path: str) -> Document:
        try:
            answer = await self._client.get(path)
            answer.raise_for_status()
            document: Document = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise CommandError(f"{self._client.base_url} serves no schemas at {path}: {error}") from None
        return document


@app.command()
def check(
    context: typer.Context,
    event: Annotated[str, typer.Argument(metavar="FILE|URL", help="A JSON event, an array of them, or one a line.")],
) -> None:
    """Check events against the schemas of the running gateway. Exit codes: 0 all fit, 1 some do not, 2 misuse."""
    session = Session.of(context)
    text = None if event.startswith(("http://", "https://")) else _file(event)
    run(_check(session, event, text))


async def _check(session: Session, where: str, text: str | None) -> int:
    events = parse(await _fetched(where) if text is None else text)
    async with httpx.AsyncClient(base_url=session.place.url, timeout=_TIMEOUT, trust_env=False) as client:
        contract = Contract(client)
        checked = [await contract.check(event) for event in events]
    for number, one in enumerate(checked, 1):
        if session.output.is_json:
            session.output.document({"event": number, "type": one.name, "faults": list(one.faults)})
        elif one.faults:
            session.output.line(f"event {number}  {one.name}  does not fit:")
            for fault in one.faults:
                session.output.line(f"  {fault}")
        else:
            session.output.line(f"event {number}  {one.name}  fits")
    return 1 if any(one.faults for one in checked) else 0


def parse(text: str) -> Sequence[JsonValue]:
    """One event, an array of events, or one a line. Raises CommandError for what is no JSON."""
    try:
        value: JsonValue = json.loads(text)
        events = value if isinstance(value, list) else [value]
    except ValueError:
        events = _lines(text)
    if not events:
        raise CommandError("there is no event", exit_code=MISUSED)
    return events


def _lines(text: str) -> list[JsonValue]:
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise CommandError(f"this is not JSON: {error}", exit_code=MISUSED) from None


def _file(name: str) -> str:
    try:
        if name == "-":
            return all_of_it()
        path = Path(name)
        if path.stat().st_size > _MAX_BYTES:
            raise CommandError(f"{name} has more than {_MAX_BYTES} bytes", exit_code=MISUSED)
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} cannot be read: {error}", exit_code=MISUSED) from None


async def _fetched(url: str) -> str:
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False) as client:
            answer = await client.get(url)
            answer.raise_for_status()
    except httpx.HTTPError as error:
        raise CommandError(f"{url} cannot be read: {error}", exit_code=MISUSED) from None
    if len(answer.content) > _MAX_BYTES:
        raise CommandError(f"{url} has more than {_MAX_BYTES} bytes", exit_code=MISUSED)
    return answer.text
