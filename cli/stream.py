"""Events as they happen, over the gateway's WebSocket; a dropped socket is picked up at the last cursor."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import datetime

import orjson
from pydantic import BaseModel, JsonValue
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from cli.errors import CommandError
from cli.place import Place

_SUBSCRIPTION = "cli"
_FOR_GOOD = {4400, 4401, 4403, 4404}
_REFUSED = {400, 401, 403, 404}
_MAX_FRAME = 4 * 1024 * 1024
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0


class Happening(BaseModel):
    """One event as the gateway tells it; `event` is `task.running`, `cursor` its place in the log."""

    cursor: str
    event: str
    time: datetime
    subject: str
    data: dict[str, JsonValue] = {}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is there now, instead of events that are no longer kept."""

    cursor: str
    data: JsonValue


class Subscription:
    """One room, followed for as long as `follow` is iterated.

    `after` is a cursor, `0` for all that is kept, None for what happens from now on. `cursor` is where the reading
    stands. `say` is told in one line when the connection is lost and when it is back.
    """

    def __init__(self, where: Place, room: str, *, after: str | None = None, say: Callable[[str], None]) -> None:
        self._where = where
        self._room = room
        self._say = say
        self.cursor = after
        self.ready = asyncio.Event()
        """Set when the gateway has confirmed the subscription: what happens now will be told."""

    async def follow(self) -> AsyncGenerator[Happening | Snapshot]:
        """Every event of the room in order, until the gateway says `end`; raises CommandError when it refuses."""
        pause = _FIRST_PAUSE
        while True:
            try:
                async with connect(
                    f"{self._where.socket_url}",
                    additional_headers=self._where.headers,
                    max_size=_MAX_FRAME,
                    compression=None,
                    proxy=None,
                ) as socket:
                    await socket.send(self._request())
                    async for told in self._read(socket):
                        pause = _FIRST_PAUSE
                        yield told
                    return
            except InvalidStatus as refusal:
                if refusal.response.status_code in _REFUSED:
                    raise CommandError(f"the gateway refused the socket ({refusal.response.status_code})") from None
                why = f"status {refusal.response.status_code}"
            except (ConnectionClosed, InvalidHandshake, OSError, TimeoutError) as error:
                why = _reason(error)
            self._say(f"connection lost ({why}); trying again in {pause:g} s")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _request(self) -> str:
        frame = {"type": "subscribe", "id": _SUBSCRIPTION, "room": self._room}
        return orjson.dumps(frame if self.cursor is None else frame | {"after": self.cursor}).decode()

    async def _read(self, socket: ClientConnection) -> AsyncGenerator[Happening | Snapshot]:
        while True:
            frame = orjson.loads(await socket.recv())
            kind = frame.get("type")
            if kind == "event":
                happening = Happening.model_validate(frame)
                self.cursor = happening.cursor
                yield happening
            elif kind == "snapshot":
                self.cursor = frame["cursor"]
                yield Snapshot(frame["cursor"], frame.get("data"))
            elif kind == "subscribed":
                self.cursor = self.cursor or frame.get("from")
                self.ready.set()
            elif kind == "ping":
                await socket.send('{"type":"pong"}')
            elif kind == "error":
                raise CommandError(f"{frame.get('detail') or 'the gateway refused'} [{frame.get('code')}]")
            elif kind == "end":
                return


def _reason(error: Exception) -> str:
    """Why the socket ended; raises CommandError when trying again cannot help."""
    if isinstance(error, ConnectionClosed) and error.rcvd is not None:
        if error.rcvd.code in _FOR_GOOD:
            raise CommandError(f"the gateway closed the socket: {error.rcvd.reason or error.rcvd.code}") from None
        return f"code {error.rcvd.code}"
    return str(error) or type(error).__name__
