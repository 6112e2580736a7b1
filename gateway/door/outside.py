"""All that serves the outside: who is let in, the two doors, and what may be said at them."""

import asyncio
from collections.abc import Coroutine

from fastapi import APIRouter
from nats.aio.client import Client

from gateway.auth.bearer import Authenticator
from gateway.auth.callout import AgentRegistry, Callout, OutsiderSettings
from gateway.auth.rates import Rates
from gateway.bus import Bus
from gateway.door.door import Door
from gateway.door.over_http import PATH as EVENTS
from gateway.door.over_http import HttpDoor
from gateway.door.over_nats import NatsDoor
from gateway.door.schemas import Schemas
from gateway.door.watching import NatsWatch
from gateway.http.fast_path import Handler
from producers.connect import BusSettings


class Outside:
    """The doors of one gateway. Over NATS nobody comes in unless `settings` hold the key that lets them."""

    def __init__(
        self,
        settings: OutsiderSettings,
        bus_settings: BusSettings,
        *,
        bus: Bus,
        authenticator: Authenticator,
        agents: AgentRegistry,
        door: Door,
        watch: NatsWatch,
        rates: Rates,
    ) -> None:
        self._bus_settings = bus_settings
        self._bus = bus
        self._callout = Callout(settings, authenticator, agents)
        self._over_nats = NatsDoor(door, rates)
        self._watch = watch
        self._over_http = HttpDoor(door, authenticator, agents, rates)
        self._schemas = Schemas(door.rules)

    def router(self) -> APIRouter:
        """The routes of HTTP."""
        router = APIRouter()
        router.routes.extend(self._over_http.router().routes)
        router.routes.extend(self._schemas.router().routes)
        return router

    def hot(self) -> dict[str, Handler]:
        """What is asked for most, for gateway/http/fast_path.py."""
        return {EVENTS: self._over_http.publish}

    def parts(self) -> tuple[Coroutine[object, object, None], ...]:
        """What runs beside the requests."""
        if not self._callout.lets_in:
            return ()
        return self._callout.run(self._bus_settings), self._serve()

    async def _serve(self) -> None:
        client: Client = await self._bus.client()
        async with asyncio.TaskGroup() as serving:
            serving.create_task(self._over_nats.run(client))
            serving.create_task(self._watch.run(client))
