"""Outside the door: a real NATS with its users, a real keeper, and a gateway that has the rights of its role only."""

import base64
import json
import secrets
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import JsonValue, SecretStr

from deploy.local.servers import Servers
from events.endpoints import EndpointSettings
from gateway.auth.callout import OutsiderSettings
from producers.connect import BusSettings
from screening.settings import ScreeningSettings
from tests.support.eventually import eventually
from tests.support.running_gateway import RunningGateway, running_gateway, settings_for, token
from tests.support.running_keeper import Bus, a_bus

SUBMITTED = "io.ganglion.task.submitted.v1"
CONTROL = "io.ganglion.task.control.v1"
SEAL_KEY = base64.b64encode(secrets.token_bytes(32)).decode()

Json = dict[str, JsonValue]


def event(**changed: JsonValue) -> Json:
    """A producer's event in structured mode; a changed None takes an attribute away."""
    good: Json = {
        "specversion": "1.0",
        "id": uuid.uuid4().hex,
        "source": "/shop",
        "type": SUBMITTED,
        "data": {"spec": {"prompt": "Summarise: it rained."}},
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


@dataclass
class Answered:
    """An answer over NATS."""

    status: int
    headers: dict[str, str]
    body: Json

    @classmethod
    def of(cls, message: Msg) -> "Answered":
        headers = message.headers or {}
        return cls(int(headers["status"]), headers, json.loads(message.data))


@dataclass
class Outsider:
    """A plain nats-py connection with somebody's token, and what the server has refused it."""

    client: Client
    tenant: str
    refused: list[str] = field(default_factory=list)

    async def ask(
        self, sent: Json | bytes, subject: str | None = None, headers: dict[str, str] | None = None
    ) -> Answered:
        """Request with an event; the subject follows from its type unless told."""
        if subject is None:
            assert isinstance(sent, dict)
            subject = f"in.{self.tenant}.{'.'.join(str(sent['type']).split('.')[2:4])}"
        body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        return Answered.of(await self.client.request(subject, body, timeout=10, headers=headers))


@dataclass
class Doorstep:
    """Everything there is."""

    bus: Bus
    gateway: RunningGateway
    where: str

    @asynccontextmanager
    async def outsider(
        self, owner: str = "alice", tenant: str = "acme", *, bearer: str | None = None, inbox: str | None = None
    ) -> AsyncGenerator[Outsider]:
        """Somebody with a token; raises what nats-py raises if the server does not let them in."""
        outsider = Outsider(Client(), tenant)

        async def note(error: Exception) -> None:
            outsider.refused.append(str(error))

        await outsider.client.connect(
            f"nats://{self.where}",
            token=bearer or token(owner, tenant=tenant),
            inbox_prefix=inbox or f"_INBOX.{tenant}.{owner}",
            allow_reconnect=False,
            max_reconnect_attempts=1,
            error_cb=note,
        )
        try:
            yield outsider
        finally:
            await outsider.client.close()

    def http(self, owner: str = "alice", tenant: str = "acme") -> httpx.AsyncClient:
        """The same over HTTP."""
        return self.gateway.client(token(owner, tenant=tenant))

    async def kept(self, event_id: str) -> Json:
        """An event as it is on the bus."""
        found = [said for _, said in await self.bus.stream() if said.get("id") == event_id]
        assert len(found) == 1, f"{len(found)} events of id {event_id}"
        return found[0]  # type: ignore[return-value]  # it was JSON


@asynccontextmanager
async def a_doorstep(servers: Servers, database_url: str, *, silent_after: float = 90.0) -> AsyncGenerator[Doorstep]:
    """Everything is there and heard of; all of it stops afterwards. Agents on this machine may be called."""
    kept = servers.nats_secrets
    where = servers.nats_url.rpartition("@")[2]
    passwords = {user: SecretStr(password) for user, password in kept.passwords.items()}
    settings = replace(
        settings_for(servers.nats_url, database_url),
        bus=BusSettings(nats_url=SecretStr(f"nats://{where}"), nats_passwords=passwords),
        outsiders=OutsiderSettings(nats_issuer_seed=SecretStr(kept.issuer_seed)),
        screening=ScreeningSettings(seal_keys=SecretStr(SEAL_KEY)),
        endpoints=EndpointSettings(allow=("127.0.0.0/8",)),
    )
    async with a_bus(servers.nats_url, database_url) as bus:
        await bus.keeper(silent_after=silent_after)
        async with running_gateway(settings) as gateway, gateway.client() as client:
            await eventually(lambda: _hears(client))
            yield Doorstep(bus, gateway, where)


async def _hears(client: httpx.AsyncClient) -> bool:
    checks = (await client.get("/readyz?verbose")).json()["checks"]
    return bool(checks["hub"]["ok"] and checks["nats"]["ok"] and checks["keeper"]["ok"])
