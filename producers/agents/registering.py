"""Registering over HTTP: the name and what it can do, for a token and the way to the work."""

import asyncio
import contextlib
from collections.abc import Sequence

import httpx
import structlog
from pydantic import BaseModel, ConfigDict

from events.agent import NOT_HEARD_OF
from events.base import JsonObject
from producers.sdk.errors import ProducerError, RefusedError, TryAgainError
from producers.sdk.pauses import Pauses
from producers.sdk.transport import Token, text_of

log = structlog.get_logger()

_AGENTS = "/api/v1/agents"


class Offer(BaseModel):
    """What an agent says of itself."""

    model_config = ConfigDict(frozen=True)

    name: str
    capabilities: dict[str, float]
    agent_type: str = "implementer"
    max_concurrent_capacity: int = 1
    technologies: Sequence[str] = ()
    version: str | None = None
    metadata: JsonObject = {}


class Connection(BaseModel):
    """Where the work is."""

    url: str
    user: str
    inbox_prefix: str
    queue: str
    stop_subject: str


class Registration(BaseModel):
    """The agent as it was taken in; `auth_token` is a secret."""

    agent_id: str
    auth_token: str
    heartbeat_interval_seconds: float
    connection: Connection

    @property
    def tenant(self) -> str:
        """The tenant that it works for."""
        return self.connection.user.partition(".")[0]


async def register(url: str, token: Token, offer: Offer, leaving: asyncio.Event) -> Registration | None:
    """Register, trying on while Ganglion is away; None if `leaving` came first. Raises ProducerError."""
    if not url.lower().startswith(("http://", "https://")):
        raise ProducerError(f"an agent's URL begins with http:// or https://, not as {url!r}")
    if token == "":
        raise ProducerError("an agent needs a token with the scope agents:write: GANGLION_TOKEN is empty")
    pauses = Pauses()
    async with httpx.AsyncClient(base_url=url.rstrip("/"), trust_env=False, timeout=10.0) as client:
        while not leaving.is_set():
            try:
                return await _registered(client, token, offer)
            except (httpx.HTTPError, TryAgainError) as error:
                why = error.why if isinstance(error, TryAgainError) else type(error).__name__
                log.info("agent_not_registered", url=url, why=why)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pauses.next()):
                    await leaving.wait()
    return None


async def _registered(client: httpx.AsyncClient, token: Token, offer: Offer) -> Registration:
    """One try. Raises RefusedError, TryAgainError and what httpx raises."""
    headers = {"Authorization": f"Bearer {text_of(token)}", **_JSON}
    answer = await client.post(_AGENTS, content=_body(offer), headers=headers)
    if answer.status_code == httpx.codes.CREATED:
        return Registration.model_validate(answer.json())
    if httpx.codes.is_client_error(answer.status_code) and answer.status_code != 429:
        raise RefusedError(answer.status_code, _problem(answer))
    raise TryAgainError(f"status {answer.status_code}")


async def is_good(url: str, registration: Registration) -> bool | None:
    """Whether the agent's token is good; None if nobody can say now."""
    path = f"{_AGENTS}/{registration.agent_id}/heartbeat"
    try:
        async with httpx.AsyncClient(base_url=url.rstrip("/"), trust_env=False, timeout=5.0) as client:
            answer = await client.post(path, headers={"X-Agent-Token": registration.auth_token})
    except httpx.HTTPError:
        return None
    return {204: True, 401: False, 404: False}.get(answer.status_code)


async def fell_silent(url: str, token: Token, name: str) -> bool:
    """Whether the agent was deregistered only because nothing was heard of it; not if that cannot be read."""
    headers = {"Authorization": f"Bearer {text_of(token)}"}
    try:
        async with httpx.AsyncClient(base_url=url.rstrip("/"), trust_env=False, timeout=5.0) as client:
            answer = await client.get(f"{_AGENTS}/{name}", headers=headers)
    except httpx.HTTPError:
        return False
    found = _problem(answer) if answer.status_code == httpx.codes.OK else {}
    return (found.get("status"), found.get("reason")) == ("gone", NOT_HEARD_OF)


_JSON = {"Content-Type": "application/json"}


def _body(offer: Offer) -> bytes:
    return offer.model_dump_json(exclude_none=True).encode()


def _problem(answer: httpx.Response) -> JsonObject:
    try:
        problem = answer.json()
    except ValueError:
        return {"code": "no_json", "detail": f"status {answer.status_code}, and not with JSON"}
    return problem if isinstance(problem, dict) else {}
