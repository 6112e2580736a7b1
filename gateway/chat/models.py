"""Bodies and answers of the conversation routes, as their document has them (requirements 003.2)."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from events.base import JsonObject
from gateway.tasks.models import Links

MAX_MESSAGE = 5_000


class ChatRequest(BaseModel):
    """One message; without `conversation_id` it begins a new conversation."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    message: str = Field(min_length=1, max_length=MAX_MESSAGE, pattern=r"\S", examples=["My dog is called Pepper."])
    conversation_id: str | None = Field(default=None, min_length=1, max_length=64)


class ToolCall(BaseModel):
    """One use of a tool, exactly as it was."""

    id: UUID
    tool_name: str
    parameters: JsonObject
    result: JsonValue
    status: Literal["succeeded", "failed"]
    executed_at: datetime


class Message(BaseModel):
    """One message; `turn_status` says what became of its turn (`succeeded`, `failed`, …)."""

    id: UUID
    seq: int
    role: Literal["user", "assistant", "system", "tool"]
    content: str
    created_at: datetime
    tool_calls: list[ToolCall]
    task_id: UUID
    turn_status: str


class ChatResponse(BaseModel):
    """A conversation as it is now: the newest 1,000 messages, or the page that was asked for, oldest first."""

    status: Literal["success"]
    conversation_id: str
    title: str | None
    messages: list[Message]
    total: int
    task_id: UUID | None = None
    error_code: None = None
    error_message: None = None


class ChatAccepted(BaseModel):
    """202: the message is kept and waits for its turn; `links` lead to its task."""

    status: Literal["accepted"]
    conversation_id: str
    task_id: UUID
    durability: Literal["log", "log+database"]
    message: str
    links: Links


class Conversation(BaseModel):
    """One line of the list."""

    id: str
    title: str | None
    created_at: datetime
    updated_at: datetime


class ListedToolCall(ToolCall):
    """One use of a tool with the turn it belongs to; `message_id` is null when no answer came of it."""

    task_id: UUID
    message_id: UUID | None
