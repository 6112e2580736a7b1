"""All routes of agents, put together; and what nats-server and the doors ask about agents."""

from urllib.parse import urlsplit

from fastapi import APIRouter

from gateway.accept import Acceptor
from gateway.agents.calling import Calls
from gateway.agents.overseeing import Overseeing
from gateway.agents.reading import Looking
from gateway.agents.registry import PlaceSettings, Registry
from gateway.auth.bearer import Authenticator
from gateway.bus import Bus
from gateway.commands import Commands
from producers.connect import BusSettings
from producers.permissions import GATEWAY
from storage.agents import verify_agent
from storage.reading import Database


class Agents:
    """What is known of outside agents (`gateway.auth.callout.AgentRegistry`)."""

    def __init__(self, engine: Database) -> None:
        self._engine = engine

    async def verify(self, tenant: str, agent_id: str, token: str) -> bool:
        """Whether there is such an agent and this is its token. Raises StoreUnavailableError."""
        return await verify_agent(self._engine, tenant, agent_id, token)


def agent_routes(
    *,
    authenticator: Authenticator,
    acceptor: Acceptor,
    engine: Database,
    bus: Bus,
    settings: BusSettings,
    calls: Calls,
) -> APIRouter:
    """To be included by the application."""
    place = PlaceSettings().public_nats_url or _without_secrets(settings.url_for(GATEWAY))
    router = APIRouter()
    router.routes.extend(Looking(authenticator, engine, bus).router().routes)
    commands = Commands(acceptor, engine)
    router.routes.extend(Registry(authenticator, commands, engine, place, calls).router().routes)
    router.routes.extend(Overseeing(authenticator, commands, engine, bus).router().routes)
    return router


def _without_secrets(url: str) -> str:
    """Only the first server of a list, without user and password."""
    parts = urlsplit(url.partition(",")[0])
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
