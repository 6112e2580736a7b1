"""A load client that hardly costs anything: HTTP/1.1 keep-alive on a bare asyncio protocol.

It shares two cores with what it measures, and httpx spends more on a request than the gateway does. It reads what
our gateway sends (a status line, `content-length`, a body), not all of RFC 9112.
"""

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import cast

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True, slots=True)
class Answer:
    """One response: status, body, and the seconds from the request's first byte out to its last byte in."""

    status: int
    body: bytes
    seconds: float


class UnreadableAnswerError(Exception):
    """The server sent a response without a content-length, or closed before its end."""


class HttpConnection(asyncio.Protocol):
    """One connection with one request at a time; open it with `HttpConnection.open(host, port)`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._buffer = b""
        self._sent = 0.0

    @classmethod
    async def open(cls, host: str, port: int) -> "HttpConnection":
        """Connect; raises OSError when nobody listens."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port)
        return connection

    def request(self, message: bytes) -> asyncio.Future[Answer]:
        """Send one complete request; the future is its answer."""
        if self._transport is None or self._waiting is not None:
            raise UnreadableAnswerError("the connection is closed or busy")
        self._waiting = asyncio.get_running_loop().create_future()
        self._sent = perf_counter()
        self._transport.write(message)
        return self._waiting

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio.Protocol)."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request in flight, if there is one (asyncio.Protocol)."""
        self._transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or UnreadableAnswerError("the server hung up"))

    def data_received(self, data: bytes) -> None:
        """Collect bytes until one answer is complete (asyncio.Protocol)."""
        self._buffer = self._buffer + data if self._buffer else data
        head, found, rest = self._buffer.partition(_HEAD_END)
        if not found or self._waiting is None:
            return
        lowered = head.lower()
        place = lowered.find(_LENGTH)
        if place < 0:
            self._finish_with(UnreadableAnswerError("the answer has no content-length"))
            return
        end = lowered.find(b"\r\n", place)
        length = int(lowered[place + len(_LENGTH) : end if end > 0 else None])
        if len(rest) >= length:
            self._buffer = rest[length:]
            waiting, self._waiting = self._waiting, None
            if not waiting.done():
                waiting.set_result(Answer(int(head[9:12]), rest[:length], perf_counter() - self._sent))

    def _finish_with(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)
        self.close()


class Requests:
    """Complete `POST /api/v1/tasks` requests, each with a text of its own so that no cache answers for the work."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._number = 0
        self._head = (
            f"POST /api/v1/tasks HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(_body(0))}\r\n\r\n"
        ).encode()

    def next(self) -> bytes:
        """The next request."""
        self._number += 1
        return self._head + _body(self._number)


def _body(number: int) -> bytes:
    return (
        b'{"goal":"Summarise ticket %08d: the invoice export stops at the second page, the customer expects all '
        b'rows, and support has confirmed it on two accounts.","acceptance_criteria":["names the export"]}' % number
    )
