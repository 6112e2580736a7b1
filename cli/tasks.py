"""`ganglion tasks`: look at tasks, divide them, and stop them."""

from typing import Annotated
from uuid import UUID

import typer
from pydantic import JsonValue

from cli.client import Document, Gateway
from cli.session import Session, run
from cli.summary import exit_code, first_line, outcome, status_of
from events.plan import MAX_DEPTH

app = typer.Typer(help="List, show, divide and cancel tasks.", no_args_is_help=True)

_PLANNED_WITHIN = 30
_COLUMNS = ("id", "status", "priority", "agent", "created", "result")


@app.command("ls")
def list_tasks(
    context: typer.Context,
    status: Annotated[str | None, typer.Option(help="Only tasks in this status.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
) -> None:
    """List your tasks, newest first."""
    filters = {"limit": str(limit)}
    if status is not None:
        filters["status"] = status
    if cursor is not None:
        filters["cursor"] = cursor
    run(_list(Session.of(context), filters))


@app.command("get")
def get_task(context: typer.Context, task_id: UUID) -> None:
    """Show one task with its result. Exit codes as of `submit`."""
    run(_get(Session.of(context), task_id))


@app.command("cancel")
def cancel_task(context: typer.Context, task_id: UUID) -> None:
    """Stop a task: entered at once, seen by a running agent within a second."""
    run(_cancel(Session.of(context), task_id))


@app.command("decompose")
def decompose_task(
    context: typer.Context,
    task_id: UUID,
    depth: Annotated[int, typer.Option(min=1, max=MAX_DEPTH, help="Over how many levels.")] = 3,
    template: Annotated[str | None, typer.Option(help="A template that is to be used.")] = None,
) -> None:
    """Divide a task that has not begun into steps, and show the plan."""
    options: Document = {"max_depth": depth}
    if template is not None:
        options["template"] = template
    run(_decompose(Session.of(context), task_id, options))


async def _list(session: Session, filters: dict[str, str]) -> int:
    async with Gateway(session.place) as gateway:
        page = await gateway.tasks(filters)
    session.output.page(page, _COLUMNS, _row)
    return 0


async def _get(session: Session, task_id: UUID) -> int:
    async with Gateway(session.place) as gateway:
        task = await gateway.task(task_id)
    if session.output.is_json:
        session.output.document(task)
        return exit_code(task)
    for name in ("status", "reason", "detail", "agent_id", "attempt", "priority", "created_at", "finished_at"):
        if task.get(name) is not None:
            session.output.line(f"{name:12} {task[name]}")
    text = outcome(task)
    if text:
        session.output.line(f"\n{text}")
    return exit_code(task)


async def _cancel(session: Session, task_id: UUID) -> int:
    async with Gateway(session.place) as gateway:
        answer = await gateway.cancel(task_id)
    if session.output.is_json:
        session.output.document(answer)
    else:
        session.output.line(f"{task_id} {status_of(answer)}")
    return 0


async def _decompose(session: Session, task_id: UUID, options: Document) -> int:
    async with Gateway(session.place) as gateway:
        plan = await gateway.decompose(task_id, options, wait=_PLANNED_WITHIN)
    if session.output.is_json:
        session.output.document(plan)
        return 0
    steps = plan.get("children")
    if not isinstance(steps, list):
        session.output.line(f"{task_id} {status_of(plan)}: the plan is not there yet")
        return 0
    names: dict[JsonValue, str] = {}
    for step in steps:
        if isinstance(step, dict):
            above = names.get(step["parent_id"])
            name = names[step["task_id"]] = f"{above}/{step['step']}" if above else str(step["step"])
            session.output.line(f"{step['task_id']}  {step['estimated_time']:>8} h  {name}")
    session.output.line(f"{plan['total_hours']} h in all, {plan['critical_hours']} h one after the other")
    return 0


def _row(task: Document) -> tuple[str, ...]:
    created = str(task.get("created_at") or "")[:19].replace("T", " ")
    return (
        str(task.get("task_id") or task.get("id")),
        status_of(task),
        str(task.get("priority") or ""),
        str(task.get("agent_id") or ""),
        created,
        first_line(outcome(task)),
    )
