"""The WebSocket `/ws`: JSON frames, many subscriptions on one socket, every event in order or an explicit gap.

Close codes: 4400 malformed, 4401 token, 4403 origin or scope do not retry; 4408 slow reader, 1012 restart and
1013 not now retry with `after`. docs/subscribe.md has every frame.
"""

import asyncio

import orjson
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from events.cursor import Cursor
from events.errors import GanglionError, PermanentError, TransientError
from gateway.auth.bearer import Principal, bearer
from gateway.encoding import to_json
from gateway.errors import MissingScopeError, UnauthorizedError
from gateway.live.admission import Admission, may_enter
from gateway.live.frames import Frame, text_message
from gateway.live.protocol import outlet_of
from gateway.live.replay import Replayer
from gateway.live.sockets import Connection, Sockets
from gateway.live.speech import Saying, delta_fields
from gateway.live.subscription import Fields, Subscription

log = structlog.get_logger()

PROTOCOL = "ganglion.v1"
MAX_SUBSCRIPTIONS = 64

_BEARER = "bearer."
_AUTH_WITHIN = 5.0
_MAX_ID = 128
_PING = text_message(b'{"type":"ping"}')
_PONG = text_message(b'{"type":"pong"}')
_DRAIN = text_message(
    to_json({"type": "drain", "detail": "The gateway restarts; connect again and resume with after."})
)


class MalformedFrameError(Exception):
    """The frame is not JSON of a known type; the socket closes 4400 with this text."""


class JsonFrames:
    """The encoding for one subscription id."""

    __slots__ = ("_head", "_id")

    def __init__(self, subscription_id: str) -> None:
        self._id = subscription_id
        self._head = b'{"type":"event","id":%s,' % orjson.dumps(subscription_id)

    def event(self, frame: Frame) -> bytes:
        """The id in front of the shared rest."""
        return frame.as_text(self._head)

    def delta(self, saying: Saying, offset: int, text: str) -> bytes:
        """What an agent says, in a frame of its own type."""
        return _frame({"type": "delta", "id": self._id, **delta_fields(saying, offset, text)})

    def control(self, kind: str, fields: Fields) -> bytes:
        """A frame of another type about this subscription."""
        return _frame({"type": kind, "id": self._id, **fields})


class LiveSockets:
    """Serves `/ws`."""

    def __init__(self, sockets: Sockets, admission: Admission, replayer: Replayer) -> None:
        self._sockets = sockets
        self._admission = admission
        self._replayer = replayer

    async def serve(self, websocket: WebSocket) -> None:
        """One connection from handshake to close."""
        if (code := self._sockets.refusal(websocket)) is not None:
            await websocket.close(code)
            return
        await websocket.accept(subprotocol=answered_protocol(websocket))
        socket = Socket(websocket, self._admission, self._replayer)
        with self._sockets.open(socket):
            await socket.run()


class Socket(Connection):
    """One connection: the frames of its client, one after the other, and its subscriptions."""

    def __init__(self, websocket: WebSocket, admission: Admission, replayer: Replayer) -> None:
        super().__init__(outlet_of(websocket))
        self._websocket = websocket
        self._admission = admission
        self._replayer = replayer
        self._subscriptions: dict[str, Subscription] = {}

    def beat(self) -> bytes:
        """A ping."""
        return _PING

    def farewell(self) -> bytes:
        """What is said before a restart."""
        return _DRAIN

    async def run(self) -> None:
        """Serve until either side closes."""
        try:
            await self._authenticate()
            while True:
                await self.outlet.room()  # who does not read answers asks nothing more
                await self._handle(await self._receive())
        except WebSocketDisconnect:
            pass
        except MalformedFrameError as error:
            await self._end(4400, str(error))
        except MissingScopeError:
            await self._end(4403, "missing_scope")
        except (UnauthorizedError, TimeoutError):
            await self._end(4401, "unauthorized")
        except TransientError as error:
            await self._end(1013, error.code)
        except Exception:
            log.exception("socket_failed")
            await self._end(1011, "internal_error")
        finally:
            self.forget()
            for subscription in self._subscriptions.values():
                self._replayer.stop(subscription)

    async def _end(self, code: int, reason: str) -> None:
        """Close, and wait for the other side to do so."""
        self.outlet.close(code, reason)
        while (await self._websocket.receive())["type"] != "websocket.disconnect":
            pass

    async def _receive(self) -> dict[str, object]:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        text = message.get("text")
        if text is None:
            raise MalformedFrameError("binary frames are not understood")
        try:
            frame = orjson.loads(text)
        except ValueError:
            raise MalformedFrameError("the frame is not JSON") from None
        if not isinstance(frame, dict):
            raise MalformedFrameError("the frame is not a JSON object")
        return frame

    async def _authenticate(self) -> None:
        """By header, by subprotocol, or by a first frame within 5 s; nothing is sent before."""
        token = bearer(self._websocket.headers) or protocol_token(self._websocket)
        if token is None:
            await self._admission.stranger()
            async with asyncio.timeout(_AUTH_WITHIN):
                frame = await self._receive()
            if frame.get("type") != "auth":
                raise UnauthorizedError
            token = _text_of(frame, "token", 8_192)
        self.admit(await self._admission.principal(token))
        self.outlet.put(_frame({"type": "hello", "protocol": PROTOCOL, "server": "ganglion"}))

    async def _handle(self, frame: dict[str, object]) -> None:
        kind = frame.get("type")
        if kind == "subscribe":
            await self._subscribe(frame)
        elif kind == "unsubscribe":
            subscription = self._subscriptions.pop(_text_of(frame, "id", _MAX_ID), None)
            if subscription is not None:
                self._replayer.stop(subscription)
        elif kind == "auth":
            self._refresh(await self._admission.principal(_text_of(frame, "token", 8_192)))
        elif kind == "ping":
            self.outlet.put(_PONG)
        elif kind != "pong":
            raise MalformedFrameError("unknown frame type")

    def _refresh(self, principal: Principal) -> None:
        """A new token of the same caller: every subscription is looked at again with what it grants."""
        held = self.principal
        if held is not None and (held.tenant, held.owner) != (principal.tenant, principal.owner):
            raise UnauthorizedError
        self.admit(principal)
        for subscription_id, subscription in list(self._subscriptions.items()):
            if subscription.state != "over" and not may_enter(principal, subscription.room):
                del self._subscriptions[subscription_id]
                subscription.say("error", _told(MissingScopeError()))
                self._replayer.stop(subscription)

    async def _subscribe(self, frame: dict[str, object]) -> None:
        subscription_id = _text_of(frame, "id", _MAX_ID)
        room_name = _text_of(frame, "room", _MAX_ID)
        after, deltas = frame.get("after"), frame.get("deltas", True)
        if after is not None and not isinstance(after, str):
            raise MalformedFrameError("after must be a text")
        if not isinstance(deltas, bool):
            raise MalformedFrameError("deltas must be true or false")
        encoding = JsonFrames(subscription_id)
        try:
            self._refuse_too_many(subscription_id)
            start = Cursor.parse(after) if after is not None else None
            found = await self._admission.room(self.caller, room_name)
        except GanglionError as error:
            self.outlet.put(encoding.control("error", _told(error)))
            return
        subscription = Subscription(found.room, self.outlet, encoding, deltas=deltas)
        self._subscriptions[subscription_id] = subscription
        self._replayer.start(subscription, start, ended=found.ended)

    def _refuse_too_many(self, subscription_id: str) -> None:
        held = self._subscriptions.get(subscription_id)
        if held is not None and held.state != "over":
            raise SubscriptionExistsError
        self._subscriptions = {name: one for name, one in self._subscriptions.items() if one.state != "over"}
        if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            raise TooManySubscriptionsError


class SubscriptionExistsError(PermanentError):
    """The socket has a subscription with this id already."""

    code = "subscription_exists"


class TooManySubscriptionsError(PermanentError):
    """A socket holds at most 64 subscriptions."""

    code = "too_many_subscriptions"


def _told(error: GanglionError) -> Fields:
    return {"code": error.code, "detail": error.detail, "retryable": error.retryable}


def _text_of(frame: dict[str, object], name: str, limit: int) -> str:
    value = frame.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        raise MalformedFrameError(f"{name} must be a text of 1 to {limit} characters")
    return value


def protocol_token(websocket: WebSocket) -> str | None:
    """The token of a subprotocol `bearer.<token>`: what a browser can send."""
    offered: list[str] = websocket.scope.get("subprotocols", [])
    return next((name[len(_BEARER) :] for name in offered if name.startswith(_BEARER)), None)


def answered_protocol(websocket: WebSocket) -> str | None:
    """A browser that offers protocols wants one of them back: ours, else the bearer one."""
    offered: list[str] = websocket.scope.get("subprotocols", [])
    if PROTOCOL in offered:
        return PROTOCOL
    return next((name for name in offered if name.startswith(_BEARER)), None)


def _frame(value: Fields) -> bytes:
    return text_message(to_json(value))
