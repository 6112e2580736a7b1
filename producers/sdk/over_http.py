"""HTTP for what is sent, a WebSocket for what is watched."""

import json
from collections.abc import AsyncGenerator

import httpx
from pydantic import TypeAdapter, ValidationError
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from events.base import JsonObject
from producers.sdk.errors import RefusedError, TryAgainError, judged
from producers.sdk.frames import Frame, read_frame
from producers.sdk.outgoing import Receipt
from producers.sdk.transport import Token, text_of

_EVENTS = "/api/v1/events"
_STRUCTURED = "application/cloudevents+json"
_FOR_GOOD = {4400: 400, 4401: 401, 4403: 403, 4404: 404}
_GOODBYE = 1.0  # seconds; the gateway's is behind all that we have not read
_MAX_FRAME = 4 * 1024 * 1024
_document = TypeAdapter(JsonObject)


class HttpTransport:
    """To a gateway at `http://host:port`."""

    def __init__(self, url: str, token: Token) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._client: httpx.AsyncClient | None = None

    async def open(self) -> None:
        """Make the pool of connections."""
        self._client = httpx.AsyncClient(base_url=self._url, trust_env=False, follow_redirects=False)

    async def close(self) -> None:
        """Close it."""
        if self._client is not None:
            await self._client.aclose()

    async def send(self, event: JsonObject, within: float) -> Receipt:
        """POST one event in structured mode."""
        if self._client is None:
            raise TryAgainError("not opened")
        headers = {"Content-Type": _STRUCTURED, **self._authorization()}
        try:
            body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
            answer = await self._client.post(_EVENTS, content=body, headers=headers, timeout=within)
        except httpx.HTTPError as error:
            raise TryAgainError(f"{self._url}: {type(error).__name__}") from error
        document = _read(answer)
        if answer.status_code == httpx.codes.ACCEPTED:
            replayed = answer.headers.get("idempotency-replayed") == "true"
            return Receipt.model_validate({**document, "replayed": replayed})
        raise judged(answer.status_code, document, answer.headers.get("retry-after"))

    async def frames(self, room: str, after: str | None) -> AsyncGenerator[Frame]:
        """One WebSocket, subscribed to one room."""
        where = f"ws{self._url.removeprefix('http')}/ws"
        asked = {"type": "subscribe", "id": "sdk", "room": room, **({} if after is None else {"after": after})}
        try:
            async with connect(
                where,
                additional_headers=self._authorization(),
                max_size=_MAX_FRAME,
                compression=None,
                proxy=None,
                close_timeout=_GOODBYE,
            ) as socket:
                await socket.send(json.dumps(asked))
                while True:
                    frame = json.loads(await socket.recv())
                    if frame.get("type") == "ping":
                        await socket.send('{"type":"pong"}')
                    elif (told := read_frame(frame)) is not None:
                        yield told
        except InvalidStatus as refusal:
            status = refusal.response.status_code
            if 400 <= status < 500:
                raise _refused(status, "the gateway refused the socket") from None
            raise TryAgainError(f"status {status}") from None
        except ConnectionClosed as closed:
            raise _why(closed, renewable=callable(self._token)) from None
        except (InvalidHandshake, OSError, TimeoutError) as error:
            raise TryAgainError(str(error) or type(error).__name__) from None

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {text_of(self._token)}"}


def _read(answer: httpx.Response) -> JsonObject:
    try:
        return _document.validate_json(answer.content)
    except ValidationError:
        return {"code": "no_json", "detail": f"status {answer.status_code}, and not with JSON"}


def _why(closed: ConnectionClosed, *, renewable: bool) -> Exception:
    """4401 may pass: the next connection comes with a fresh token, if there is who gives one."""
    code = closed.rcvd.code if closed.rcvd is not None else 1006
    if code in _FOR_GOOD and not (code == 4401 and renewable):
        reason = closed.rcvd.reason if closed.rcvd is not None else ""
        return _refused(_FOR_GOOD[code], f"the gateway closed the socket: {reason or code}")
    return TryAgainError(f"code {code}")


def _refused(status: int, detail: str) -> RefusedError:
    return RefusedError(status, {"code": "refused", "detail": detail})
