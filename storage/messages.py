"""Questions about what was said in a session: its messages in order, each with the tool calls that led to it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Row, Select, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncEngine

from events.base import JsonObject
from storage.models import message, task, tool_call
from storage.reading import fetch

Anything = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message; `turn_status` is what became of its turn, `tool_calls` are those of the execution that said it."""

    id: UUID
    seq: int
    role: str
    content: str
    created_at: datetime
    task_id: UUID
    execution_id: UUID | None
    turn_status: str
    tool_calls: list[JsonObject] | None


@dataclass(frozen=True, slots=True)
class ToolCallRow:
    """One use of a tool in a session, whether or not an answer came of it."""

    run_id: UUID
    seq: int
    task_id: UUID
    message_id: UUID | None
    tool: str
    parameters: JsonObject
    result: JsonObject | None
    status: str
    called_at: datetime


_CALL = func.jsonb_build_object(
    *("run_id", tool_call.c.run_id, "seq", tool_call.c.seq, "tool", tool_call.c.tool),
    *("parameters", tool_call.c.parameters, "result", tool_call.c.result),
    *("status", tool_call.c.status, "called_at", tool_call.c.called_at),
)
_CALLS = (
    select(func.jsonb_agg(aggregate_order_by(_CALL, tool_call.c.seq)))
    .where(tool_call.c.execution_id == message.c.execution_id, tool_call.c.task_id == message.c.task_id)
    .scalar_subquery()
)
_MESSAGES: Select[Anything] = select(
    message.c.id,
    message.c.seq,
    message.c.role,
    message.c.content,
    message.c.created_at,
    message.c.task_id,
    message.c.execution_id,
    task.c.status,
    _CALLS,
).select_from(message.join(task, task.c.id == message.c.task_id))


async def newest_messages(
    engine: AsyncEngine, session_id: str, limit: int, *, until: UUID | None = None
) -> list[MessageRow]:
    """The end of a session's history, or of what it was when a turn (`until`) was answered: at most `limit` messages,
    in order.
    """
    statement = _MESSAGES.where(message.c.session_id == session_id).order_by(message.c.seq.desc()).limit(limit)
    if until is not None:
        last = select(func.max(message.c.seq)).where(message.c.task_id == until)
        statement = statement.where(message.c.seq <= last.scalar_subquery())
    return [_message(row) for row in reversed(await fetch(engine, statement))]


async def messages_after(engine: AsyncEngine, session_id: str, after: int, limit: int) -> list[MessageRow]:
    """The messages behind a place in the history, in order."""
    statement = (
        _MESSAGES.where(message.c.session_id == session_id, message.c.seq > after).order_by(message.c.seq).limit(limit)
    )
    return [_message(row) for row in await fetch(engine, statement)]


async def answer_to(engine: AsyncEngine, task_id: UUID) -> MessageRow | None:
    """What the assistant said in one turn, if it did."""
    rows = await fetch(engine, _MESSAGES.where(message.c.task_id == task_id, message.c.role == "assistant"))
    return _message(rows[0]) if rows else None


async def tool_calls_of(engine: AsyncEngine, session_id: str, *, skip: int, limit: int) -> list[ToolCallRow]:
    """Every use of a tool in a session, in order, those of failed turns too."""
    statement: Select[Anything] = (
        select(
            tool_call.c.run_id,
            tool_call.c.seq,
            tool_call.c.task_id,
            message.c.id,
            tool_call.c.tool,
            tool_call.c.parameters,
            tool_call.c.result,
            tool_call.c.status,
            tool_call.c.called_at,
        )
        .select_from(
            tool_call.join(task, task.c.id == tool_call.c.task_id).outerjoin(
                message,
                (message.c.task_id == tool_call.c.task_id) & (message.c.execution_id == tool_call.c.execution_id),
            )
        )
        .where(task.c.session_id == session_id)
        .order_by(tool_call.c.called_at, tool_call.c.run_id, tool_call.c.seq)
        .offset(skip)
        .limit(limit)
    )
    return [ToolCallRow(*row) for row in await fetch(engine, statement)]  # type: ignore[arg-type,call-arg]  # as listed


def _message(row: Row[Anything]) -> MessageRow:
    return MessageRow(*row)  # type: ignore[arg-type,call-arg]  # the columns are listed in the order of the fields
