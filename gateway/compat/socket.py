"""A compatibility socket: a room of `/ws` whose events are put into another document's frames.

Admission, order, catching up and slow readers are those of `/ws`. These protocols know no gap: where one would be
announced the socket closes 1012, and who comes back asks for the state by GET. Close codes: 1008 no good token or no
such room, 1003 not JSON, 1011 our fault, 1012 restart or gap, 4408 slow reader.
"""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import orjson
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from events.cursor import Cursor
from events.errors import GanglionError
from gateway.auth.bearer import bearer
from gateway.compat.texts import Texts
from gateway.encoding import to_json
from gateway.errors import UnauthorizedError
from gateway.live.admission import Admission, Found
from gateway.live.frames import Frame, text_message
from gateway.live.guests import SharedNoLongerError
from gateway.live.protocol import outlet_of
from gateway.live.replay import Replayer
from gateway.live.rooms import Room
from gateway.live.sockets import Connection, Sockets
from gateway.live.speech import Saying
from gateway.live.subscription import Fields, Subscription
from gateway.live.ws import answered_protocol, protocol_token

log = structlog.get_logger()

DENIED, NOT_JSON, OUR_FAULT, COME_BACK = 1008, 1003, 1011, 1012
MAX_ROOMS = 64


class NotJsonError(Exception):
    """A client's frame is no JSON object."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every socket is served with."""

    sockets: Sockets
    admission: Admission
    replayer: Replayer
    texts: Texts


class CompatSocket(Connection):
    """One connection. A dialect says what it sends; `after` is where its rooms begin (None: now)."""

    takes_query_token = False
    after: Cursor | None = None
    expired = (DENIED, "token_expired")

    def __init__(self, websocket: WebSocket, surroundings: Surroundings) -> None:
        super().__init__(outlet_of(websocket))
        self._websocket = websocket
        self._surroundings = surroundings
        self._rooms: dict[str, Subscription] = {}

    @abstractmethod
    def greeting(self, room: str) -> Iterable[Fields]:
        """What the caller hears when it was let into the room that the path names."""

    @abstractmethod
    def event(self, room: Room, frame: Frame) -> Iterable[Fields]:
        """What an event is in these words; nothing if they have none for it."""

    def words(self, saying: Saying, text: str) -> Iterable[Fields]:  # noqa: ARG002 - for those who have words for it
        """What a piece of speech is in these words."""
        return ()

    def over(self) -> Iterable[Fields]:
        """What is said when the room's task has ended."""
        return ()

    async def asked(self, frame: dict[str, object]) -> None:
        """A client's frame."""

    def heartbeat(self) -> Iterable[Fields]:
        """What shows now and then that the connection lives."""
        return ()

    def beat(self) -> bytes:
        """The heartbeat, encoded."""
        return encoded(self.heartbeat())

    def farewell(self) -> bytes:
        """Nothing: the close code says it."""
        return b""

    def say(self, *frames: Fields) -> None:
        """Send frames."""
        self.outlet.put(encoded(frames))

    async def run(self, room: str) -> None:
        """Serve until either side closes."""
        try:
            await self._admit()
            found = await self._surroundings.admission.room(self.caller, room)
            self.say(*self.greeting(room))
            self._follow(room, found)
            while True:
                await self.outlet.room()
                await self.asked(await self._receive())
        except WebSocketDisconnect:
            pass
        except NotJsonError:
            await self._end(NOT_JSON, "not_json")
        except GanglionError as error:
            await self._end(COME_BACK if error.retryable else DENIED, error.code)
        except Exception:
            log.exception("socket_failed")
            await self._end(OUR_FAULT, "internal_error")
        finally:
            self.forget()
            for subscription in self._rooms.values():
                self._surroundings.replayer.stop(subscription)

    async def enter(self, room: str) -> None:
        """Follow one more room. Raises NotFoundError and the like; being in it already changes nothing."""
        if room not in self._rooms and len(self._rooms) < MAX_ROOMS:
            self._follow(room, await self._surroundings.admission.room(self.caller, room))

    def leave(self, room: str) -> None:
        """Follow a room no longer."""
        subscription = self._rooms.pop(room, None)
        if subscription is not None:
            self._surroundings.replayer.stop(subscription)

    @property
    def rooms(self) -> list[str]:
        """The rooms that are followed."""
        return list(self._rooms)

    def _follow(self, name: str, found: Found) -> None:
        subscription = Subscription(found.room, self.outlet, _Translation(self, found.room))
        self._rooms[name] = subscription
        self._surroundings.replayer.start(subscription, self.after, ended=found.ended)

    async def _admit(self) -> None:
        token = bearer(self._websocket.headers) or protocol_token(self._websocket)
        if token is None and self.takes_query_token:
            token = self._websocket.query_params.get("token")
        if token is None:
            await self._surroundings.admission.stranger()
            raise UnauthorizedError
        self.admit(await self._surroundings.admission.principal(token))

    async def _receive(self) -> dict[str, object]:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        try:
            frame = orjson.loads(message.get("text") or message.get("bytes") or b"")
        except ValueError:
            raise NotJsonError from None
        if not isinstance(frame, dict):
            raise NotJsonError
        return frame

    async def _end(self, code: int, reason: str) -> None:
        self.outlet.close(code, reason)
        while (await self._websocket.receive())["type"] != "websocket.disconnect":
            pass


class _Translation:
    """The encoding of one room for one connection."""

    __slots__ = ("_room", "_socket")

    def __init__(self, socket: CompatSocket, room: Room) -> None:
        self._socket = socket
        self._room = room

    def event(self, frame: Frame) -> bytes:
        """The dialect's frames for an event."""
        return encoded(self._socket.event(self._room, frame))

    def delta(self, saying: Saying, offset: int, text: str) -> bytes:  # noqa: ARG002 - no dialect counts characters
        """The dialect's frames for a piece of speech."""
        return encoded(self._socket.words(saying, text))

    def control(self, kind: str, fields: Fields) -> bytes:
        """The end of a task; a gap or a subscription that failed ends the connection."""
        if kind == "end":
            return encoded(self._socket.over())
        if kind in {"gap", "error"}:
            code = str(fields.get("code", kind))
            self._socket.outlet.close(DENIED if code == SharedNoLongerError.code else COME_BACK, code)
        return b""


def encoded(frames: Iterable[Fields]) -> bytes:
    """WebSocket messages, one after the other."""
    return b"".join(text_message(to_json(frame)) for frame in frames)


async def serve(websocket: WebSocket, surroundings: Surroundings, kind: type[CompatSocket], room: str) -> None:
    """One connection from handshake to close."""
    if (code := surroundings.sockets.refusal(websocket)) is not None:
        await websocket.close(code)
        return
    await websocket.accept(subprotocol=answered_protocol(websocket))
    socket = kind(websocket, surroundings)
    with surroundings.sockets.open(socket):
        await socket.run(room)
