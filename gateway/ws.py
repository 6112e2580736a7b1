"""The WebSocket `/ws`: JSON frames, many subscriptions on one socket, every event in order or an explicit gap.

Close codes: 4400 malformed, 4401 token, 4403 origin or scope do not retry; 4408 slow reader and 1012 restart
retry with `after`.
"""

import asyncio
import contextlib
from urllib.parse import urlsplit

import orjson
import structlog
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket, WebSocketDisconnect

from events.cursor import Cursor
from events.errors import GanglionError
from gateway.auth import READ, Authenticator, Principal, bearer
from gateway.encoding import to_json
from gateway.errors import MissingScopeError, NotFoundError, UnauthorizedError
from gateway.frames import Frame
from gateway.lookup import Lookup, parsed_id
from gateway.metrics import Metrics
from gateway.outlet import Closing, Outlet
from gateway.replay import Replayer
from gateway.subscription import Fields, Room, Subscription

log = structlog.get_logger()

PROTOCOL = "ganglion.v1"
MAX_SUBSCRIPTIONS = 64
MAX_FRAME = 64 * 1024

_BEARER = "bearer."
_AUTH_WITHIN = 5.0
_CLOSE_WITHIN = 10.0
_MAX_ID = 128


class MalformedFrameError(Exception):
    """The frame is not JSON of a known type; the socket closes 4400 with this text."""


class JsonFrames:
    """The WebSocket encoding for one subscription id."""

    def __init__(self, subscription_id: str) -> None:
        self._id = subscription_id
        self._head = f'{{"type":"event","id":{orjson.dumps(subscription_id).decode()},'

    def event(self, frame: Frame) -> tuple[str, str]:
        """The id in front of the shared rest."""
        return self._head, frame.tail

    def control(self, kind: str, fields: Fields) -> str:
        """A frame of another type about this subscription."""
        return _json({"type": kind, "id": self._id, **fields})


class Sockets:
    """All open sockets of the process: serves each, pings them, drains them before a restart."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        lookup: Lookup,
        replayer: Replayer,
        metrics: Metrics,
        allowed_origins: tuple[str, ...],
    ) -> None:
        self.authenticator = authenticator
        self.lookup = lookup
        self.replayer = replayer
        self.metrics = metrics
        self._allowed_origins = frozenset(allowed_origins)
        self._open: set[Outlet] = set()
        self._draining = False

    async def serve(self, websocket: WebSocket) -> None:
        """One connection from handshake to close."""
        if self._draining or not self._origin_is_allowed(websocket):
            await websocket.close(1012 if self._draining else 4403)
            return
        await websocket.accept(subprotocol=_answered_protocol(websocket))
        outlet = Outlet()
        self._open.add(outlet)
        self.metrics.sockets.inc()
        try:
            await Socket(self, websocket, outlet).run()
        finally:
            self._open.discard(outlet)
            self.metrics.sockets.dec()

    async def keep_alive(self, every: float = 20.0) -> None:
        """Ping all sockets until cancelled."""
        ping = _json({"type": "ping"})
        while True:
            await asyncio.sleep(every)
            for outlet in tuple(self._open):
                outlet.put(ping)

    async def drain(self, within: float = 5.0) -> None:
        """Tell all sockets to come back elsewhere, close them 1012 and wait for that."""
        self._draining = True
        frame = _json({"type": "drain", "detail": "The gateway restarts; connect again and resume with after."})
        for outlet in tuple(self._open):
            outlet.put(frame)
            outlet.close(1012, "restart")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self._open:  # noqa: ASYNC110 - once a process, at its end
                    await asyncio.sleep(0.02)

    def _origin_is_allowed(self, connection: HTTPConnection) -> bool:
        """Browsers send Origin: it must be ours or on the list (cross-site WebSocket hijacking)."""
        origin = connection.headers.get("origin")
        if origin is None:
            return True
        return origin in self._allowed_origins or urlsplit(origin).netloc == connection.headers.get("host")


class Socket:
    """One WebSocket connection: a reader of client frames, a writer of the outlet."""

    def __init__(self, sockets: Sockets, websocket: WebSocket, outlet: Outlet) -> None:
        self._sockets = sockets
        self._websocket = websocket
        self._outlet = outlet
        self._subscriptions: dict[str, Subscription] = {}
        self._principal: Principal | None = None
        self._expiry: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Serve until either side closes."""
        writer = asyncio.create_task(self._write())
        reader = asyncio.create_task(self._read())
        try:
            await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
            if reader.done() and not writer.done() and self._outlet.closing is not None:
                await asyncio.wait((writer,), timeout=_CLOSE_WITHIN)
        finally:
            for subscription in self._subscriptions.values():
                self._sockets.replayer.stop(subscription)
            if self._expiry is not None:
                self._expiry.cancel()
            for task in (reader, writer):
                task.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)

    async def _write(self) -> None:
        while True:
            item = await self._outlet.next()
            if isinstance(item, Closing):
                if item.code == 4408:
                    self._sockets.metrics.slow_readers.inc()
                await self._websocket.close(item.code, item.reason[:120])
                return
            await self._websocket.send_text(item)

    async def _read(self) -> None:
        try:
            await self._authenticate()
            while True:
                await self._handle(await self._receive())
        except MalformedFrameError as error:
            self._outlet.close(4400, str(error))
        except MissingScopeError:
            self._outlet.close(4403, "missing_scope")
        except (UnauthorizedError, TimeoutError):
            self._outlet.close(4401, "unauthorized")
        except WebSocketDisconnect:
            return
        except Exception:
            log.exception("socket_failed")
            self._outlet.close(1011, "internal_error")

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
        token = bearer(self._websocket.headers) or _protocol_token(self._websocket)
        if token is None:
            async with asyncio.timeout(_AUTH_WITHIN):
                frame = await self._receive()
            if frame.get("type") != "auth":
                raise UnauthorizedError
            token = _text_of(frame, "token", 8_192)
        await self._admit(token)
        self._outlet.put(_json({"type": "hello", "protocol": PROTOCOL, "server": "ganglion"}))

    async def _admit(self, token: str) -> None:
        principal = await self._sockets.authenticator.principal(token)
        principal.must(READ)
        held = self._principal
        if held is not None and (held.tenant, held.owner) != (principal.tenant, principal.owner):
            raise UnauthorizedError
        self._principal = principal
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = asyncio.get_running_loop().call_later(
            principal.seconds_left(), self._outlet.close, 4401, "token_expired"
        )

    async def _handle(self, frame: dict[str, object]) -> None:
        kind = frame.get("type")
        if kind == "subscribe":
            await self._subscribe(frame)
        elif kind == "unsubscribe":
            subscription = self._subscriptions.pop(_text_of(frame, "id", _MAX_ID), None)
            if subscription is not None:
                self._sockets.replayer.stop(subscription)
        elif kind == "auth":
            await self._admit(_text_of(frame, "token", 8_192))
        elif kind == "ping":
            self._outlet.put(_json({"type": "pong"}))
        elif kind != "pong":
            raise MalformedFrameError("unknown frame type")

    async def _subscribe(self, frame: dict[str, object]) -> None:
        subscription_id = _text_of(frame, "id", _MAX_ID)
        room_name = _text_of(frame, "room", _MAX_ID)
        after = frame.get("after")
        if after is not None and not isinstance(after, str):
            raise MalformedFrameError("after must be a text")
        encoding = JsonFrames(subscription_id)
        try:
            self._refuse_too_many(subscription_id)
            start = Cursor.parse(after) if after is not None else None
            room, ended = await self._room(room_name)
        except GanglionError as error:
            self._outlet.put(encoding.control("error", _told(error)))
            return
        subscription = Subscription(room, self._outlet, encoding)
        self._subscriptions[subscription_id] = subscription
        self._sockets.replayer.start(subscription, start, ended=ended)

    def _refuse_too_many(self, subscription_id: str) -> None:
        held = self._subscriptions.get(subscription_id)
        if held is not None and held.state != "over":
            raise SubscriptionExistsError
        self._subscriptions = {name: one for name, one in self._subscriptions.items() if one.state != "over"}
        if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            raise TooManySubscriptionsError

    async def _room(self, name: str) -> tuple[Room, bool]:
        """The room of that name as this caller may see it. Raises NotFoundError."""
        principal = self._principal
        if principal is None:
            raise UnauthorizedError
        if name == "tasks":
            return Room(principal.tenant, None if principal.is_admin else principal.owner), False
        kind, _, rest = name.partition(":")
        if kind != "task":
            raise NotFoundError("There is no such room.")
        task_id = parsed_id(rest)
        found = await self._sockets.lookup.whereabouts(principal, task_id)
        return Room(found.tenant, found.owner, task_id), found.ended


class SubscriptionExistsError(GanglionError):
    """The socket has a subscription with this id already."""

    code = "subscription_exists"


class TooManySubscriptionsError(GanglionError):
    """A socket holds at most 64 subscriptions."""

    code = "too_many_subscriptions"


def _told(error: GanglionError) -> Fields:
    return {"code": error.code, "detail": error.detail, "retryable": error.retryable}


def _text_of(frame: dict[str, object], name: str, limit: int) -> str:
    value = frame.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        raise MalformedFrameError(f"{name} must be a text of 1 to {limit} characters")
    return value


def _protocol_token(websocket: WebSocket) -> str | None:
    offered: list[str] = websocket.scope.get("subprotocols", [])
    return next((name[len(_BEARER) :] for name in offered if name.startswith(_BEARER)), None)


def _answered_protocol(websocket: WebSocket) -> str | None:
    """A browser that offers protocols wants one of them back: ours, else the bearer one."""
    offered: list[str] = websocket.scope.get("subprotocols", [])
    if PROTOCOL in offered:
        return PROTOCOL
    return next((name for name in offered if name.startswith(_BEARER)), None)


def _json(value: Fields) -> str:
    return to_json(value).decode()
