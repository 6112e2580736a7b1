"""WebSocket frames byte by byte, right and wrong, each with the close code that RFC 6455 demands for it."""

import asyncio
import base64
import json
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
PROTOCOL_ERROR, BAD_DATA, TOO_BIG, MALFORMED = 1002, 1007, 1009, 4400


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, mask: bytes | None = b"\x07\x00\xff\x1b"
) -> bytes:
    """One frame from a client; without a mask if it is None."""
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    size, masked = len(payload), 0x80 if mask else 0
    if size < 126:
        head = bytes([first, masked | size])
    elif size < 65_536:
        head = struct.pack(">BBH", first, masked | 126, size)
    else:
        head = struct.pack(">BBQ", first, masked | 127, size)
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


@dataclass
class Attempt:
    """What one connection sends, and the codes it may be closed with."""

    frames: list[bytes] = field(default_factory=list)
    codes: tuple[int, ...] = ()
    what: str = ""


def attempt(dice: random.Random) -> Attempt:
    """Some frames that are right, then one thing that is not."""
    made = Attempt()
    for _ in range(dice.randrange(8, 24)):
        made.frames += dice.choice(_RIGHT)(dice)
    name = dice.choice(sorted(_WRONG))
    made.what = name
    made.codes, frames = _WRONG[name](dice)
    made.frames += frames
    return made


def _text(dice: random.Random) -> list[bytes]:
    return [frame(TEXT, json.dumps({"type": dice.choice(("ping", "pong")), "note": "ü" * dice.randrange(40)}).encode())]


def _fragments(dice: random.Random) -> list[bytes]:
    """One message in pieces, cut anywhere, with empty pieces and control frames between them."""
    whole = json.dumps({"type": "ping", "note": "🐝" * dice.randrange(20)}, ensure_ascii=False).encode()
    cuts = sorted(dice.choices(range(len(whole) + 1), k=dice.randrange(1, 6)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    frames = []
    for number, piece in enumerate(pieces):
        frames.append(frame(CONT if number else TEXT, piece, fin=number == len(pieces) - 1))
        if dice.random() < 0.3 and number < len(pieces) - 1:
            frames.append(frame(dice.choice((PING, PONG)), dice.randbytes(dice.randrange(126))))
    return frames


def _control(dice: random.Random) -> list[bytes]:
    return [frame(dice.choice((PING, PONG)), dice.randbytes(dice.choice((0, 1, 125))))]


def _wait(_: random.Random) -> list[bytes]:
    return [frame(TEXT, b'{"type":"unsubscribe","id":"nothing"}')]


_RIGHT: tuple[Callable[[random.Random], list[bytes]], ...] = (_text, _fragments, _control, _wait)

Wrong = tuple[tuple[int, ...], list[bytes]]


def _wrong(*codes: int) -> Callable[[Callable[[random.Random], list[bytes]]], Callable[[random.Random], Wrong]]:
    def named(make: Callable[[random.Random], list[bytes]]) -> Callable[[random.Random], Wrong]:
        return lambda dice: (codes, make(dice))

    return named


_OK = b'{"type":"ping"}'
_BAD_UTF8 = (b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"ok \xe2\x82")
_WRONG: dict[str, Callable[[random.Random], Wrong]] = {
    "reserved bit": _wrong(PROTOCOL_ERROR)(lambda dice: [frame(TEXT, _OK, reserved=dice.randrange(1, 8))]),
    "reserved opcode": _wrong(PROTOCOL_ERROR)(
        lambda dice: [frame(dice.choice((3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF)))]
    ),
    "no mask": _wrong(PROTOCOL_ERROR)(lambda _: [frame(TEXT, _OK, mask=None)]),
    "control in pieces": _wrong(PROTOCOL_ERROR)(lambda dice: [frame(dice.choice((PING, PONG, CLOSE)), fin=False)]),
    "long control": _wrong(PROTOCOL_ERROR)(lambda dice: [frame(dice.choice((PING, PONG)), bytes(126))]),
    "piece of nothing": _wrong(PROTOCOL_ERROR)(lambda _: [frame(CONT, _OK)]),
    "text within text": _wrong(PROTOCOL_ERROR)(lambda _: [frame(TEXT, b'{"a":', fin=False), frame(TEXT, _OK)]),
    "length beyond 63 bits": _wrong(PROTOCOL_ERROR, TOO_BIG)(
        lambda _: [struct.pack(">BBQ", 0x81, 0xFF, 2**63 + 1) + bytes(4)]
    ),
    "bad utf-8": _wrong(BAD_DATA)(lambda dice: [frame(TEXT, dice.choice(_BAD_UTF8))]),
    "bad utf-8 in pieces": _wrong(BAD_DATA)(
        lambda dice: [frame(TEXT, b'"\xe2', fin=False), frame(CONT, dice.choice((b"\x28", b"\xff")))]
    ),
    "too big": _wrong(TOO_BIG)(lambda _: [frame(TEXT, b" " * 65_537)]),
    "too big in pieces": _wrong(TOO_BIG)(lambda _: [frame(TEXT, b" " * 33_000, fin=False), frame(CONT, b" " * 33_000)]),
    "half a close code": _wrong(PROTOCOL_ERROR)(lambda _: [frame(CLOSE, b"\x03")]),
    "forbidden close code": _wrong(PROTOCOL_ERROR)(
        lambda dice: [frame(CLOSE, struct.pack(">H", dice.choice((0, 999, 1004, 1005, 1006, 1015, 2999, 5000))))]
    ),
    "bad utf-8 in a close reason": _wrong(BAD_DATA, PROTOCOL_ERROR)(
        lambda _: [frame(CLOSE, struct.pack(">H", 1000) + b"\xff")]
    ),
    "binary": _wrong(MALFORMED)(lambda dice: [frame(BINARY, dice.randbytes(9))]),
    "not json": _wrong(MALFORMED)(lambda dice: [frame(TEXT, dice.choice((b"", b"{", b"[]", b"7", b'{"type":9}')))]),
    "goodbye": _wrong(1000)(lambda _: [frame(CLOSE, struct.pack(">H", 1000) + "tschüss".encode())]),
    "garbage": _wrong(PROTOCOL_ERROR, BAD_DATA, TOO_BIG, MALFORMED)(
        lambda dice: [
            bytes([dice.randrange(256) | 0x40, dice.randrange(50) | dice.choice((0, 0x80))]) + dice.randbytes(64)
        ]
    ),
}


async def play(port: int, token: str, made: Attempt, within: float = 10.0) -> int:
    """Send it all in chunks cut anywhere; the close code that came back (0: ended without one, -1: never ended)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        key = base64.b64encode(bytes(16)).decode()
        writer.write(
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        async with asyncio.timeout(within):
            await reader.readuntil(b"\r\n\r\n")
            whole = b"".join(made.frames)
            for start in range(0, len(whole), 700):
                writer.write(whole[start : start + 700])
                await asyncio.sleep(0)
            return await close_code(reader)
    except TimeoutError:
        return -1
    finally:
        writer.close()


async def close_code(reader: asyncio.StreamReader) -> int:
    """The code of the next close frame; 0 if there is none before the end."""
    try:
        while True:
            first, size = await reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await reader.readexactly(8), "big")
            payload = await reader.readexactly(size)
            if first & 0x0F == CLOSE:
                return int.from_bytes(payload[:2], "big")
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0
