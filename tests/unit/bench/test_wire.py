"""The benchmark's lean clients read what real servers write, however it is cut into packets."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bench.figures import percentile
from bench.http import Answer, HttpConnection, Requests, UnreadableAnswerError
from bench.socket import HandshakeError, SocketListener


@asynccontextmanager
async def answering(*packets: bytes) -> AsyncGenerator[int]:
    """A server that answers any request with these packets, one after the other."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for packet in packets:
            writer.write(packet)
            await writer.drain()
            await asyncio.sleep(0.001)
        writer.close()
        await writer.wait_closed()

    answered: list[asyncio.Task[None]] = []

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered.append(asyncio.create_task(answer(reader, writer)))

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*answered)


async def ask(port: int) -> Answer:
    connection = await HttpConnection.open("127.0.0.1", port)
    try:
        return await connection.request(b"GET / HTTP/1.1\r\n\r\n")
    finally:
        connection.close()


async def test_an_answer_cut_into_single_bytes_is_read_whole() -> None:
    text = b"HTTP/1.1 202 Accepted\r\nContent-Length: 4\r\nx: y\r\n\r\nbody"
    async with answering(*(bytes([byte]) for byte in text)) as port:
        answer = await ask(port)
    assert (answer.status, answer.body) == (202, b"body")


async def test_an_answer_that_ends_early_is_an_error() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nbody") as port:
        with pytest.raises(UnreadableAnswerError):
            await ask(port)


async def test_an_answer_without_a_length_is_an_error() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n") as port:
        with pytest.raises(UnreadableAnswerError):
            await ask(port)


def test_every_request_is_complete_and_differs_from_the_one_before() -> None:
    requests = Requests("127.0.0.1", 8080, "t")
    first, second = requests.next(), requests.next()
    for request in (first, second):
        head, _, body = request.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
    assert first != second


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 200_000])
async def test_frames_of_every_length_form_arrive_unchanged(size: int) -> None:
    sent = ["é" * (size // 2) + "x" * (size % 2), "end"]

    async def tell(socket: ServerConnection) -> None:
        assert socket.request is not None
        assert socket.request.headers["Authorization"] == "Bearer t"
        assert await socket.recv() == "subscribe " + "s" * size
        await (await socket.ping())
        for text in sent:
            await socket.send(text)

    async with serve(tell, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        frames: list[bytes] = []
        listener = await SocketListener.open("127.0.0.1", port, "t", frames.append)
        listener.send(b"subscribe " + b"s" * size)
        assert "1000" in await listener.closed
    assert [frame.decode() for frame in frames] == sent


async def test_a_refused_handshake_says_with_which_status() -> None:
    async with answering(b"HTTP/1.1 403 Forbidden\r\n\r\n") as port:
        with pytest.raises(HandshakeError, match="403"):
            await SocketListener.open("127.0.0.1", port, "t", lambda _: None)


def test_percentiles_are_values_that_were_measured() -> None:
    assert [percentile(range(1, 101), share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]
