"""Who may connect to NATS from outside, and to do what: nats-server asks, we answer (NATS ADR-26, auth callout).

A user connects with a Ganglion token (`token=`), an agent as `<tenant>.<agent_id>` with its agent token. Both come
into the account OUTSIDE, with the rights of producers/permissions.py: a user until its token expires, an agent for ten
minutes, after which it comes again.
"""

import asyncio
import time
from typing import Protocol

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import BaseModel, Field, JsonValue, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from events.errors import GanglionError
from events.ids import checked_name
from events.work import work_durable
from gateway.auth.bearer import LEEWAY, Authenticator
from gateway.auth.sender import Sender
from gateway.errors import UnauthorizedError
from producers.connect import BusSettings, Connection
from producers.nkeys import AccountKey, InvalidKeyError, unverified_claims
from producers.permissions import AUTH_REQUESTS, CALLOUT, OUTSIDE, Permissions, agent, producer

log = structlog.get_logger()

_MAX_SUBSCRIPTIONS = 64
_AT_ONCE = 64
_AGENT_TOKEN = "gat_"  # noqa: S105 - how such a token begins


class OutsiderSettings(BaseSettings):
    """`NATS_ISSUER_SEED` (SA…): the key whose public half is `issuer` in nats-server's configuration.

    Without it nobody is let in from outside: with a server of somebody else's, its own configuration decides.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="")

    nats_issuer_seed: SecretStr | None = None


class AgentRegistry(Protocol):
    """What is known of outside agents."""

    async def verify(self, tenant: str, agent_id: str, token: str) -> bool:
        """Whether there is such an agent and this is its token. Raises StoreUnavailableError."""
        ...


class _Connecting(BaseModel):
    auth_token: str | None = None
    user: str | None = None
    password: str | None = Field(default=None, alias="pass")


class _Server(BaseModel):
    id: str


class _Question(BaseModel):
    user_nkey: str
    server_id: _Server
    connect_opts: _Connecting


class Callout:
    """Answers for all gateways: one of them is asked each time."""

    def __init__(
        self,
        settings: OutsiderSettings,
        authenticator: Authenticator,
        agents: AgentRegistry,
    ) -> None:
        seed = settings.nats_issuer_seed
        self._key = AccountKey.from_seed(seed.get_secret_value()) if seed else None
        self._authenticator = authenticator
        self._agents = agents
        self._answering = asyncio.Semaphore(_AT_ONCE)

    @property
    def lets_in(self) -> bool:
        """Whether anybody can come from outside."""
        return self._key is not None

    async def run(self, bus: BusSettings) -> None:
        """Answer until cancelled, over a connection that can do nothing else."""
        if self._key is None:
            log.info("no_outsiders", why="NATS_ISSUER_SEED is not set")
            await asyncio.Event().wait()
            return
        async with Connection(bus, CALLOUT) as client:
            await self._serve(client, self._key)

    async def _serve(self, client: Client, key: AccountKey) -> None:
        async with asyncio.TaskGroup() as answering:

            async def asked(message: Msg) -> None:
                await self._answering.acquire()
                answering.create_task(self._respond(client, key, message))

            await client.subscribe(AUTH_REQUESTS, queue=CALLOUT, cb=asked)
            await asyncio.Event().wait()

    async def _respond(self, client: Client, key: AccountKey, message: Msg) -> None:
        try:
            answer = await self.answer(key, message.data.decode("ascii", "replace"))
            if answer is not None:
                await client.publish(message.reply, answer.encode())
        except Exception as error:  # noqa: BLE001 - one question must not end the answering of others
            log.warning("callout_failed", error=type(error).__name__)
        finally:
            self._answering.release()

    async def answer(self, key: AccountKey, asked: str) -> str | None:
        """The signed answer to a question of the server's; None to what is no such question."""
        try:
            question = _Question.model_validate(unverified_claims(asked).get("nats"))
        except (InvalidKeyError, ValidationError):
            return None
        said: dict[str, JsonValue] = {"type": "authorization_response", "version": 2}
        try:
            sender = await self._who(question.connect_opts)
            said["jwt"] = key.sign(_user_claims(question.user_nkey, sender))
        except GanglionError as error:
            log.info("outsider_refused", code=error.code)
            said["error"] = error.code
        return key.sign({"sub": question.user_nkey, "aud": question.server_id.id, "nats": said})

    async def _who(self, given: _Connecting) -> Sender:
        if given.password is not None and given.password.startswith(_AGENT_TOKEN):
            tenant, _, agent_id = (given.user or "").partition(".")
            checked_name(tenant, "tenant")
            checked_name(agent_id, "agent")
            if not await self._agents.verify(tenant, agent_id, given.password):
                raise UnauthorizedError
            return Sender.agent(tenant, agent_id, given.password)
        return Sender.of(await self._authenticator.principal(given.auth_token or given.password))


def _user_claims(nkey: str, sender: Sender) -> dict[str, JsonValue]:
    rights = rights_of(sender)
    return {
        "sub": nkey,
        "name": sender.user_name,
        "aud": OUTSIDE,
        "exp": int(max(sender.expires_at + LEEWAY, time.time() + 1)),
        "nats": {
            "type": "user",
            "version": 2,
            "pub": {"allow": list(rights.publish)},
            "sub": {"allow": list(rights.subscribe)},
            "subs": _MAX_SUBSCRIPTIONS,
            "data": -1,
            "payload": -1,
        },
    }


def rights_of(sender: Sender) -> Permissions:
    """What an outsider may do on NATS."""
    if sender.kind == "agent":
        return agent(sender.tenant, sender.name, work_durable(sender.tenant, sender.name))
    return producer(sender.tenant, sender.name)
