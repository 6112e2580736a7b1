"""The routes of the reflex layer: POST /process, and what placeholders stand for."""

from fastapi import APIRouter

from gateway.auth.bearer import Authenticator
from gateway.metrics import Metrics
from gateway.reflex.processing import Processing, ProcessSettings
from gateway.reflex.revealing import Revealing
from gateway.tasks.lookup import Lookup
from screening.settings import ScreeningSettings
from storage.reading import Database
from storage.verdicts import CacheSettings


class ReflexRoutes:
    """Built together; `close` when done."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        lookup: Lookup,
        engine: Database,
        metrics: Metrics,
        process: ProcessSettings,
        screening: ScreeningSettings,
        cache: CacheSettings,
    ) -> None:
        self._processing = Processing(
            authenticator=authenticator, metrics=metrics.reflex, process=process, screening=screening, cache=cache
        )
        self._revealing = Revealing(authenticator=authenticator, lookup=lookup, engine=engine, settings=screening)

    def router(self) -> APIRouter:
        """All routes."""
        router = APIRouter()
        router.routes.extend(self._processing.router().routes)
        router.routes.extend(self._revealing.router().routes)
        return router

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._processing.close()
