"""What a nats-server answers to a CONNECT: by hand, as nats-py leaves the sockets of refused connections open."""

import asyncio
import json

LET_IN = b"PONG\r\n"
REFUSED = b"-ERR 'Authorization Violation'\r\n"


async def hello(where: str, **credentials: str) -> bytes:
    """The first line after CONNECT with these credentials (`user`, `pass`, `auth_token`) and PING."""
    host, port = where.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        await reader.readline()
        said = json.dumps({**credentials, "verbose": False, "protocol": 1}).encode()
        writer.write(b"CONNECT " + said + b"\r\nPING\r\n")
        async with asyncio.timeout(10):
            return await reader.readline()
    finally:
        writer.close()
        await writer.wait_closed()
