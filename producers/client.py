"""nats-py's client with a short way for what is delivered in numbers: events, acknowledgements.

A message takes nats-py 8 us: regular expressions, a header parser, a queue, a task (docs/performance.md). Here those of
a subscription with a *sink* are cut out of what one read brought, and handed over at once. All else is nats-py's: the
connection, what comes in parts, and whatever looks unlike what we write (docs/adr/0016).
"""

import asyncio
import re
from collections.abc import Callable

import structlog
from nats.aio.client import Client, Srv
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.protocol import parser
from nats.protocol.parser import AWAITING_MSG_PAYLOAD, CRLF_SIZE, Parser

import producers.tcp  # noqa: F401  # what nats-py connects with
from events.codec import CONTENT_TYPE, MSG_ID, STRUCTURED
from producers.cancellation import heed_cancellation

log = structlog.get_logger()

Sink = Callable[[Msg], None]

REQUEST_INFO = "Nats-Request-Info"
"""The header in which the server says who asks (NATS ADR-3, `share`)."""

_HEAD, _TAIL = f"NATS/1.0\r\n{MSG_ID}: ".encode(), f"\r\n{CONTENT_TYPE}: {STRUCTURED}\r\n\r\n".encode()
_LINE_END = b"\r\n"

# For nats-py a vertical tab or a form feed ends a subject, for the server it is a part of it: who may choose the end of
# a subject would choose which of our subscriptions is given the message. The server writes single spaces.
parser.MSG_RE = re.compile(rb"\AMSG ([^ \r\n]+) (\d+) (([^ \r\n]+) )?(\d+)\r\n")
parser.HMSG_RE = re.compile(rb"\AHMSG ([^ \r\n]+) (\d+) (([^ \r\n]+) )?(\d+) (\d+)\r\n")


class BusClient(Client):
    """nats-py's client; messages of a subscription made with `listen` go to a plain function while they are read, and
    `put` writes an event without asking what any message may look like.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sinks: dict[int, Sink] = {}
        self._ps = _Parser(self)

    async def listen(self, subject: str, sink: Sink) -> Subscription:
        """Subscribe; `sink` is called with every message."""
        subscription = await self.subscribe(subject)
        self.sinks[subscription._id] = sink  # noqa: SLF001  # its name on the wire, which nats-py tells nobody
        return subscription

    async def put(self, subject: str, body: bytes, message_id: str, *, reply: str = "") -> None:
        """`publish` a structured-mode event under its id; raises what `publish` does."""
        plain = subject != "" and " " not in subject and (subject + message_id).isprintable()
        if not plain or not self.is_connected or self.is_draining_pubs or len(body) > self.max_payload:
            await self.publish(subject, body, reply, headers={MSG_ID: message_id, CONTENT_TYPE: STRUCTURED})
            return
        headers = b"%s%s%s" % (_HEAD, message_id.strip().encode(), _TAIL)
        line = f"HPUB {subject} {reply} {len(headers)} {len(headers) + len(body)}\r\n"
        await self._send_command(b"".join((line.encode(), headers, body, _LINE_END)))
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()

    def give(self, sink: Sink, subject: bytes, reply: bytes, body: bytes, headers: dict[str, str] | None) -> None:
        """Call a sink; what it raises ends no connection."""
        try:
            sink(Msg(self, _text(subject), _text(reply), body, headers))
        except Exception:
            log.exception("sink_failed")

    async def _connect_to_server(self, s: Srv) -> None:
        """An attempt that failed after the socket was open, as with a server that says nothing, left it open.

        And what was told to end while it waited for a socket may not have heard of it: it would try on for ever.
        """
        if asyncio.current_task() is self._reconnection_task:
            heed_cancellation()
        if self._transport is not None:
            self._transport.close()  # type: ignore[no-untyped-call]  # nats-py has not annotated it
        await super()._connect_to_server(s)

    async def _attempt_reconnect(self) -> None:
        """nats-py's, but what it does not foresee, as half a greeting, ends one attempt and not all of them."""
        while True:
            try:
                return await super()._attempt_reconnect()
            except Exception as error:  # noqa: BLE001  # whatever it is: who gives up here is deaf for good
                await self._error_cb(error)
                self._status = Client.RECONNECTING
                await asyncio.sleep(self.options["reconnect_time_wait"])

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        self.sinks.pop(sid, None)
        super()._remove_sub(sid, max_msgs)

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Msg:
        return Msg(self, _text(subject), _text(reply), data, headers, _sid=sid)

    async def _process_headers(self, headers: bytes) -> dict[str, str] | None:
        """None if nobody can read them: what nats-py raises would end its reading for good, and silently."""
        try:
            found = await super()._process_headers(headers)
        except (ValueError, IndexError):
            return None
        if found is not None and REQUEST_INFO in found and not _is_of_the_server(headers):
            del found[REQUEST_INFO]
        return found

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        sink = self.sinks.get(sid)
        if sink is None:
            await super()._process_msg(sid, subject, reply, data, headers)
        else:
            self.give(sink, subject, reply, data, await self._process_headers(headers))


async def put(client: Client, subject: str, body: bytes, message_id: str, *, reply: str = "") -> None:
    """`BusClient.put`; with a client of somebody else's its `publish`."""
    if isinstance(client, BusClient):
        await client.put(subject, body, message_id, reply=reply)
    else:
        await client.publish(subject, body, reply, headers={MSG_ID: message_id, CONTENT_TYPE: STRUCTURED})


async def listen(client: Client, subject: str, sink: Sink) -> Subscription:
    """`BusClient.listen`; with a client of somebody else's the same through its queues."""
    if isinstance(client, BusClient):
        return await client.listen(subject, sink)

    async def take(message: Msg) -> None:
        sink(message)

    return await client.subscribe(subject, cb=take, pending_msgs_limit=0, pending_bytes_limit=0)


class _Parser(Parser):
    """nats-py's parser, which is given what is not a whole message for a sink."""

    def __init__(self, client: BusClient) -> None:
        super().__init__(client)
        self._client = client

    async def parse(self, data: bytes = b"") -> None:
        """Deal with what one read brought."""
        begun = self.state == AWAITING_MSG_PAYLOAD
        if begun or self.buf:
            rest = self.needed + CRLF_SIZE - len(self.buf) if begun else len(data)
            await super().parse(data[:rest])
            data = data[rest:]
        place = self._give_out(data)
        if place < len(data):
            await super().parse(data[place:])

    def _give_out(self, data: bytes) -> int:
        """Hand over the whole messages that `data` begins with; where they end."""
        sinks, place = self._client.sinks, 0
        while (line_end := data.find(_LINE_END, place)) > 0:
            words = data[place:line_end].split(b" ")
            kind, count = words[0], len(words)
            has_headers = kind == b"HMSG"
            if not (has_headers and 4 < count < 7) and not (kind == b"MSG" and 3 < count < 6):
                break
            try:
                sink, begin = sinks.get(int(words[2])), line_end + CRLF_SIZE
                body = begin + (int(words[-2]) if has_headers else 0)
                end = begin + int(words[-1])
            except ValueError:
                break
            if sink is None or end + CRLF_SIZE > len(data):
                break
            headers = _read(data[begin:body]) if has_headers else None
            if has_headers and headers is None:
                break
            reply = words[3] if count == 5 + has_headers else b""
            self._client.give(sink, words[1], reply, data[body:end], headers)
            place = end + CRLF_SIZE
        return place


def _is_of_the_server(headers: bytes) -> bool:
    """Whether the last line says who asks, as the server writes it, behind all that the client wrote.

    It takes one such line of a client's away. A client may write two, or a space before the name, and leave its last
    line open: then the server's words are the end of that line, and the client's own would be the ones that are read.
    """
    lines = headers.removesuffix(_LINE_END).removesuffix(_LINE_END).split(_LINE_END)
    return headers.endswith(2 * _LINE_END) and lines[-1].startswith(f"{REQUEST_INFO}: ".encode())


def _text(name: bytes) -> str:
    """A subject as text: the server takes any bytes for one, and what is no UTF-8 is heard like all else."""
    return name.decode(errors="replace")


def _read(headers: bytes) -> dict[str, str] | None:
    """The headers of an event as our publisher writes them; None for all others."""
    if not (headers.startswith(_HEAD) and headers.endswith(_TAIL)):
        return None
    message_id = headers[len(_HEAD) : -len(_TAIL)]
    if not message_id.isascii() or b"\n" in message_id:
        return None
    return {MSG_ID: message_id.decode().strip(), CONTENT_TYPE: STRUCTURED}
