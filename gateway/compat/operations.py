"""`/ws/sessions[/{id}]`, `/ws/agents[/{id}]`, `/ws/tasks/{id}`, `/ws/system`: frames `{type, payload, timestamp}`.

The client says `{"type": "pong"}`, `{"type": "join_room" | "leave_room", "room": …}` and `{"type": "get_stats"}`.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import uuid4

from starlette.websockets import WebSocket

from events.errors import GanglionError
from gateway.compat.socket import CompatSocket, Surroundings
from gateway.compat.words import translated
from gateway.errors import MissingScopeError
from gateway.live.frames import Frame
from gateway.live.rooms import Room
from gateway.live.subscription import Fields

_MAX_NAME = 128


class OperationsSocket(CompatSocket):
    """One connection in the words of the second document."""

    beats_every = 30.0

    def __init__(self, websocket: WebSocket, surroundings: Surroundings) -> None:
        super().__init__(websocket, surroundings)
        wanted = websocket.query_params.get("client_id", "")
        self._client_id = wanted if 0 < len(wanted) <= _MAX_NAME else str(uuid4())

    def greeting(self, room: str) -> Iterable[Fields]:
        """Who is connected, and to what."""
        established = {"client_id": self._client_id, "rooms": [room], "server_time": datetime.now(UTC)}
        yield _frame("connection.established", established)
        resource, _, what = room.partition(":")
        named: Fields = {f"{resource}_id": what} if what else {}
        yield _frame("subscription.confirmed", {"resource": resource, **named, "room": room})

    def event(self, room: Room, frame: Frame) -> Iterable[Fields]:
        """By the kind of room."""
        return translated(room, frame)

    def heartbeat(self) -> Iterable[Fields]:
        """Every 30 s."""
        yield _frame("heartbeat", {"server_time": datetime.now(UTC)})

    async def asked(self, frame: dict[str, object]) -> None:
        """Rooms and figures; everything else (pong) asks for nothing."""
        kind, room = frame.get("type"), frame.get("room")
        try:
            if kind == "get_stats":
                self._tell_figures()
            elif isinstance(room, str) and 0 < len(room) <= _MAX_NAME:
                if kind == "join_room":
                    await self.enter(room)
                elif kind == "leave_room":
                    self.leave(room)
        except GanglionError as error:
            self.say(_frame("error", {"code": error.code, "message": error.detail, "room": room}))

    def _tell_figures(self) -> None:
        if not self.caller.is_admin:
            raise MissingScopeError
        connections = self._surroundings.sockets.count
        self.say(_frame("system.stats", {"total_connections": connections, "rooms": self.rooms}))


def _frame(kind: str, payload: Fields) -> Fields:
    return {"type": kind, "payload": payload, "timestamp": datetime.now(UTC)}
