"""`ganglion submit`: ask for work, and watch it being done."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import orjson
import typer
import yaml

from cli.client import Document, Gateway
from cli.errors import MISUSED, CommandError, code_of_refusal
from cli.output import Output
from cli.session import Session, run
from cli.standard_input import all_of_it
from cli.summary import exit_code, is_final, outcome, status_of
from cli.telling import step
from events import Priority
from producers.sdk import EventProducer, Happening, RefusedError, Snapshot, UnavailableError

_SOURCE = "/cli"
_WITHIN = 10.0

_ONLY_IN_SAMPLES = {"name", "expect"}  # what our examples/inputs say beside the request


def submit(
    context: typer.Context,
    text: Annotated[str | None, typer.Argument(help="What is to be done.", show_default=False)] = None,
    *,
    file: Annotated[
        Path | None,
        typer.Option(
            "-f",
            "--file",
            help="With TEXT: its context. Without: the text, or a request as .yaml or .json. - is standard input.",
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show each step live, then the result.")] = False,
    wait: Annotated[int | None, typer.Option(min=0, max=60, help="Wait this many seconds for the result.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency-Key: a repeat gives the first task again.")] = None,
    priority: Annotated[Priority | None, typer.Option(help="How urgent it is.")] = None,
    capability: Annotated[list[str] | None, typer.Option(help="What the agent must be able to do; repeatable.")] = None,
) -> None:
    """Submit a task. Exit codes: 0 accepted or done, 1 failed, 2 misuse, 3 blocked."""
    session = Session.of(context)
    body = request(text, file)
    _utf8("".join((key or "", *(capability or ()))))
    if priority is not None:
        body["priority"] = priority
    if capability:
        body["required_capabilities"] = list(capability)
    run(_submit(session, body, key=key, wait=wait, watch=watch))


def request(text: str | None, file: Path | None) -> Document:
    """The body of the POST; raises CommandError when there is nothing to ask for."""
    content = _content(file) if file is not None else None
    if text is None and content is None:
        raise CommandError("nothing to submit: give TEXT or -f FILE", exit_code=MISUSED)
    if text is None and content is not None and file is not None and file.suffix in {".yaml", ".yml", ".json"}:
        return _document(content, file)
    goal = _utf8((text if text is not None else content) or "")
    if not goal.strip():
        raise CommandError(f"nothing to submit: {'TEXT' if text is not None else file} is empty", exit_code=MISUSED)
    return {"goal": goal} if text is None or content is None else {"goal": goal, "context": content}


def _utf8(text: str) -> str:
    """The same text; bytes that are no UTF-8 arrive as lone surrogates, which JSON cannot carry."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CommandError("the text is not UTF-8", exit_code=MISUSED) from None
    return text


def _content(file: Path) -> str:
    try:
        return all_of_it() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read as text: {error}", exit_code=MISUSED) from None


def _document(content: str, file: Path) -> Document:
    """A request as POST /api/v1/tasks takes it; members unknown there are sent too, for the gateway to refuse."""
    try:
        found = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise CommandError(f"{file} is not valid: {str(error).splitlines()[0]}", exit_code=MISUSED) from None
    if not isinstance(found, dict) or not {"goal", "prompt"} & found.keys():
        raise CommandError(f"{file} has no member 'prompt' (or 'goal')", exit_code=MISUSED)
    try:  # YAML has dates, and numbers as names: JSON has texts
        plain: Document = orjson.loads(orjson.dumps(found, option=orjson.OPT_NON_STR_KEYS))
    except TypeError as error:
        raise CommandError(f"{file} holds what JSON cannot: {error}", exit_code=MISUSED) from None
    return {name: value for name, value in plain.items() if name not in _ONLY_IN_SAMPLES}


async def _submit(session: Session, body: Document, *, key: str | None, wait: int | None, watch: bool) -> int:
    where, output = session.place, session.output
    try:
        async with EventProducer(where.url, where.token, source=_SOURCE, say=output.remark) as producer:
            receipt = await producer.publish("task.submitted", {"spec": body}, event_id=key, within=_WITHIN)
            task_id = UUID(str(receipt.task_id))
            if watch:
                await _watch(output, producer, task_id)
            elif not wait or not await _ends(producer, task_id, wait):
                return show(output, {**receipt.model_dump(mode="json"), "status": "submitted"}, task_id)
    except RefusedError as error:
        raise CommandError(str(error), exit_code=code_of_refusal(error.status)) from None
    except UnavailableError as error:
        raise CommandError(f"{where.url}: {error}") from None
    async with Gateway(where) as gateway:
        return show(output, await gateway.task(task_id), task_id)


async def _ends(producer: EventProducer, task_id: UUID, within: int) -> bool:
    try:
        await producer.finished(task_id, within=within)
    except UnavailableError:
        return False
    return True


async def _watch(output: Output, producer: EventProducer, task_id: UUID) -> None:
    began = None
    output.remark(f"task {task_id}")
    async for told in producer.watch(task_id):
        if isinstance(told, Snapshot) and isinstance(told.data, dict) and is_final(told.data):
            return
        if not isinstance(told, Happening):
            continue
        began = began or told.time
        if output.is_json:
            output.document(told.model_dump(mode="json"))
        else:
            output.line(step(told, began))


def show(output: Output, task: Document, task_id: UUID) -> int:
    """A task or the receipt of one; returns the exit code that says what became of it."""
    if output.is_json:
        output.document(task)
    elif is_final(task):
        output.line(f"\n{outcome(task)}\n" if outcome(task) else "")
        output.remark(f"{task_id} {status_of(task)}")
    else:
        kept = f" ({task['durability']})" if "durability" in task else ""
        output.line(f"{task_id} {status_of(task)}{kept}")
    return exit_code(task)
