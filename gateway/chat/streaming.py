"""A turn as server-sent events: its course, the agent's words as they come, then the stored message."""

import asyncio
from collections.abc import AsyncGenerator

from events.task import GOOD
from gateway.chat.conversations import Conversations
from gateway.chat.errors import AgentTimeoutError, about, failure_of
from gateway.chat.turn import Turn, Turns
from gateway.chat.views import message_view
from gateway.chat.waiting import TurnWire, sse
from gateway.errors import refusal_of
from gateway.live.outlet import Closing, QueueOutlet, resume_point
from gateway.live.sse import next_frame
from gateway.trail import Trail


class TurnStream:
    """Tells one accepted turn to its end. A client that hangs up cancels nothing."""

    def __init__(self, turns: Turns, conversations: Conversations) -> None:
        self._turns = turns
        self._conversations = conversations

    async def frames(self, turn: Turn, wire: TurnWire, outlet: QueueOutlet, trail: Trail) -> AsyncGenerator[bytes]:
        """`accepted`, then `status`, `token` and `tool_call` as they happen, then `message` or `error`, then `end`."""
        told = {"task_id": turn.task_id, "conversation_id": turn.conversation_id, "replayed": turn.replayed}
        yield sse("accepted", {**told, "durability": turn.durability})
        expiry = asyncio.get_running_loop().call_later(turn.principal.seconds_left(), outlet.close, 4401, "expired")
        try:
            if not turn.replayed or await self._turns.ended(turn) is None:
                async for frame in _course(wire, outlet):
                    yield frame
            yield await self._last(turn, wire, outlet, trail)
            yield sse("end", {})
        finally:
            expiry.cancel()

    async def _last(self, turn: Turn, wire: TurnWire, outlet: QueueOutlet, trail: Trail) -> bytes:
        row = await self._turns.ended(turn)
        if row is None:
            if wire.is_overdue:
                error = about(AgentTimeoutError(), turn.conversation_id, turn.task_id)
                return sse("error", refusal_of(trail, error).body)
            stream = f"/api/v1/tasks/{turn.task_id}/stream"
            return sse("left", {"task_id": turn.task_id, "stream": stream, "after": resume_point(outlet)})
        if row.status not in GOOD:
            return sse("error", refusal_of(trail, failure_of(row, turn.conversation_id)).body)
        answer = await self._conversations.answer(turn.task_id)
        return sse("message", None if answer is None else message_view(answer))


async def _course(wire: TurnWire, outlet: QueueOutlet) -> AsyncGenerator[bytes]:
    """What the wire says until the turn has ended, ran out of time, or can be followed no longer."""
    while not ((wire.final or wire.lost) and outlet.empty):
        if wire.is_overdue:
            return
        item = await next_frame(outlet)
        if isinstance(item, Closing):
            return
        yield item
