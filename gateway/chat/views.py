"""What was said, as JSON."""

from collections.abc import Sequence
from uuid import UUID

from events.base import JsonObject
from events.ids import derived_id
from gateway.tasks.views import View
from storage.messages import MessageRow, ToolCallRow
from storage.sessions import SessionRow


def conversation_view(session: SessionRow, messages: Sequence[MessageRow], task_id: UUID | None = None) -> View:
    """A conversation with some of its messages."""
    return {
        "status": "success",
        "conversation_id": session.id,
        "title": session.title,
        "messages": [message_view(message) for message in messages],
        "total": session.last_seq,
        "task_id": task_id,
        "error_code": None,
        "error_message": None,
    }


def message_view(message: MessageRow) -> View:
    """One message with the tool calls that led to it."""
    return {
        "id": message.id,
        "seq": message.seq,
        "role": message.role,
        "content": message.content,
        "created_at": message.created_at,
        "tool_calls": [_called(call) for call in message.tool_calls or ()],
        "task_id": message.task_id,
        "turn_status": message.turn_status,
    }


def tool_call_view(call: ToolCallRow) -> View:
    """One use of a tool with the turn it belongs to."""
    return {
        "id": tool_call_id(call.run_id, call.seq),
        "tool_name": call.tool,
        "parameters": call.parameters,
        "result": call.result,
        "status": call.status,
        "executed_at": call.called_at,
        "task_id": call.task_id,
        "message_id": call.message_id,
    }


def tool_call_id(run_id: UUID | str, seq: int) -> UUID:
    """The id of one use of a tool: the same in every answer."""
    return derived_id(run_id, "tool_call", seq)


def _called(call: JsonObject) -> View:
    return {
        "id": tool_call_id(str(call["run_id"]), int(str(call["seq"]))),
        "tool_name": call["tool"],
        "parameters": call["parameters"],
        "result": call["result"],
        "status": call["status"],
        "executed_at": call["called_at"],
    }
