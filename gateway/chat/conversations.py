"""Conversations as their owner reads them; whose they are is looked at every time, by every way in."""

from collections.abc import Sequence
from uuid import UUID

from events.errors import InvalidIdError
from events.ids import checked_name
from gateway.auth.bearer import Principal
from gateway.chat.errors import ConversationNotFoundError, ForeignConversationError
from gateway.chat.views import conversation_view, tool_call_view
from gateway.tasks.views import View
from storage.messages import MessageRow, answer_to, messages_after, newest_messages, tool_calls_of
from storage.reading import Database
from storage.sessions import SessionRow, conversations, find_session

MAX_MESSAGES = 1_000


class Conversations:
    """Reads from Postgres only: any gateway gives the same answer at any time."""

    def __init__(self, engine: Database) -> None:
        self._engine = engine

    async def find(self, principal: Principal, conversation_id: str) -> SessionRow:
        """The caller's own open conversation. Raises ConversationNotFoundError; somebody else's of the same tenant
        raises ForeignConversationError, as its document demands, and of another tenant is not found.
        """
        row = await find_session(self._engine, _id(conversation_id))
        if row is None or row.tenant != principal.tenant or row.kind != "chat":
            raise ConversationNotFoundError
        if row.owner != principal.owner:
            raise ForeignConversationError
        if row.status != "open":
            raise ConversationNotFoundError
        return row

    async def whole(self, session: SessionRow, task_id: UUID | None = None) -> View:
        """The conversation with its newest 1,000 messages, oldest first; that of a turn ends with its answer."""
        messages = await newest_messages(self._engine, session.id, MAX_MESSAGES, until=task_id)
        return conversation_view(session, messages, task_id)

    async def page(self, session: SessionRow, *, skip: int, limit: int) -> View:
        """The conversation with `limit` messages behind the first `skip`: their numbers have no hole."""
        return conversation_view(session, await messages_after(self._engine, session.id, skip, limit))

    async def answer(self, task_id: UUID) -> MessageRow | None:
        """What the assistant said in a turn."""
        return await answer_to(self._engine, task_id)

    async def list(self, principal: Principal, *, skip: int, limit: int) -> Sequence[View]:
        """The caller's conversations, the newest activity first."""
        rows = await conversations(self._engine, principal.tenant, principal.owner, skip=skip, limit=limit)
        return [
            {"id": row.id, "title": row.title, "created_at": row.created_at, "updated_at": row.updated_at}
            for row in rows
        ]

    async def tool_calls(self, session: SessionRow, *, skip: int, limit: int) -> Sequence[View]:
        """Every use of a tool in the conversation, those of turns without an answer too."""
        return [tool_call_view(call) for call in await tool_calls_of(self._engine, session.id, skip=skip, limit=limit)]


def _id(text: str) -> str:
    """What is no id names no conversation, and a database may not even be able to look for it."""
    try:
        return checked_name(text, "the conversation's id")
    except InvalidIdError:
        raise ConversationNotFoundError from None
