"""A gateway in the test's own process, on a free port, with clients that speak its protocols."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import jwt
from pydantic import JsonValue, SecretStr
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from gateway.app import Gateway, GatewaySettings, HttpSettings, create_gateway
from gateway.auth.bearer import AuthSettings
from gateway.server import Server, server_for
from producers.connect import BusSettings
from storage.database import DatabaseSettings
from tests.support.described import check_described
from tests.support.eventually import PATIENCE, eventually
from tests.support.plain import PLAIN

SECRET = secrets.token_hex(32)
ORIGIN = "https://app.example"
"""The one page whose scripts may call the gateway."""
USER_SCOPES = ("tasks:read", "tasks:write")

Frame = dict[str, JsonValue]


def token(
    owner: str = "alice", *, tenant: str = "acme", scopes: Sequence[str] = USER_SCOPES, lifetime: float = 600
) -> str:
    """A token that the gateway accepts."""
    claims = {
        "sub": owner,
        "tenant": tenant,
        "scope": " ".join(scopes),
        "iss": "ganglion",
        "aud": "ganglion",
        "exp": time.time() + lifetime,
    }
    return jwt.encode(claims, SECRET, algorithm="HS256")


@dataclass
class RunningGateway:
    """Where it listens, and what it is made of."""

    port: int
    gateway: Gateway
    server: Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, bearer: str | None = None) -> httpx.AsyncClient:
        """An HTTP client with alice's token, or another one ("" for none)."""
        bearer = token() if bearer is None else bearer
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        return httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=20 * PATIENCE, trust_env=False, verify=PLAIN
        )

    @asynccontextmanager
    async def socket(
        self,
        bearer: str | None = None,
        *,
        path: str = "/ws",
        protocols: Sequence[str] = (),
        origin: str | None = None,
    ) -> AsyncGenerator["Socket"]:
        """A WebSocket with alice's token in its header, or another one ("" for none)."""
        bearer = token() if bearer is None else bearer
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        if origin:
            headers["Origin"] = origin
        offered = [Subprotocol(name) for name in protocols] or None
        url = f"ws://127.0.0.1:{self.port}{path}"
        async with connect(
            url, additional_headers=headers, subprotocols=offered, proxy=None, open_timeout=10 * PATIENCE
        ) as connection:
            yield Socket(connection)


async def hears(client: httpx.AsyncClient) -> bool:
    """Whether the gateway is connected and has read the log to its end."""
    checks = (await client.get("/readyz?verbose")).json()["checks"]
    return bool(checks["hub"]["ok"] and checks["nats"]["ok"])


class Socket:
    """A client's side of `/ws`."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, **frame: JsonValue) -> None:
        await self.connection.send(json.dumps(frame))

    async def receive(self, within: float = 10) -> Frame:
        async with asyncio.timeout(PATIENCE * within):
            while True:
                frame: Frame = json.loads(await self.connection.recv())
                check_described(frame)
                if frame["type"] != "ping":
                    return frame

    async def until(self, kind: str, within: float = 10) -> list[Frame]:
        """All frames up to and including the first of a type."""
        frames = [await self.receive(within)]
        while frames[-1]["type"] != kind:
            frames.append(await self.receive(within))
        return frames

    async def until_event(self, name: str, within: float = 10) -> list[Frame]:
        """All frames up to and including the first event of a name."""
        frames = [await self.receive(within)]
        while frames[-1].get("event") != name:
            frames.append(await self.receive(within))
        return frames

    async def closed(self, within: float = 10) -> tuple[int, str]:
        """Close code and reason."""
        async with asyncio.timeout(PATIENCE * within):
            await self.connection.wait_closed()
        return self.connection.close_code or 0, self.connection.close_reason or ""


def settings_for(nats_url: str, database_url: str, *, origins: tuple[str, ...] = ()) -> GatewaySettings:
    """Settings of a gateway on a free port."""
    return GatewaySettings(
        http=HttpSettings(port=0, allowed_origins=origins),
        auth=AuthSettings(jwt_secret=SecretStr(SECRET), jwt_public_key=None, jwks_url=None),
        bus=BusSettings(nats_url=SecretStr(nats_url)),
        database=DatabaseSettings(database_url=SecretStr(database_url)),
    )


@asynccontextmanager
async def running_gateway(settings: GatewaySettings) -> AsyncGenerator[RunningGateway]:
    """Serve until the block ends, then drain and stop as the process would."""
    gateway = create_gateway(settings)
    server = server_for(gateway, settings.http)
    serving = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started or serving.done())
        port = server.servers[0].sockets[0].getsockname()[1]
        yield RunningGateway(port, gateway, server)
    finally:
        server.should_exit = True
        await serving
