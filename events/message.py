"""Message events: what was said in a session, numbered without a hole."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from events.base import EventData
from events.ids import Name

Role = Literal["user", "assistant", "system", "tool"]


class MessageAppended(EventData, aggregate="message", name="appended"):
    """A message has its place in the session's history; `seq` counts from 1.

    `truncated`: the bus takes no more of it; who wants the whole reads the history.
    """

    is_state: ClassVar[bool] = True

    message_id: UUID
    session_id: Name
    task_id: UUID
    seq: int = Field(ge=1)
    role: Role
    content: str
    truncated: bool = False

    @property
    def subject_id(self) -> str:
        """The message's id."""
        return str(self.message_id)
