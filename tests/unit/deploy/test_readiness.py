"""The gateway counts as ready only when it is ours."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from deploy.local.errors import StackError
from deploy.local.ports import LOOPBACK
from deploy.local.readiness import wait_ready


@pytest.fixture
async def somebody_elses() -> AsyncGenerator[str]:
    """A gateway that is ready and knows nothing of our secret."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        status = b"200 OK" if request.startswith(b"GET /readyz") else b"401 Unauthorized"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, LOOPBACK, 0) as server:
        yield f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"


async def test_a_gateway_that_refuses_our_token_is_not_ours(somebody_elses: str) -> None:
    with pytest.raises(StackError, match=r"not ready within 0\.3 s; last: .*401"):
        await wait_ready(somebody_elses, within=0.3, token="ours")


async def test_without_a_token_readiness_is_enough(somebody_elses: str) -> None:
    await wait_ready(somebody_elses, within=5)


async def test_the_error_names_what_did_not_answer() -> None:
    with pytest.raises(StackError, match="ConnectError"):
        await wait_ready(f"http://{LOOPBACK}:9", within=3)
