"""The reflex consumer as configured: built-in rules in flow mode, or a service elsewhere in slots mode."""

import asyncio
from dataclasses import replace

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from consumers._runtime import Flow, Resources, Slots
from consumers.reflex.consumer import Reflex
from consumers.reflex.engine import RemoteEngine
from consumers.reflex.remote import RemoteReflex
from events.streams import REFLEX
from screening.cached import CachedScreener
from screening.settings import ScreeningSettings
from storage.verdicts import CacheSettings, ExaminationStore

_SLOTS = 64


class ReflexSettings(BaseSettings):
    """`REFLEX_URL`: a reflex service to ask instead of the built-in rules, `REFLEX_TOKEN` its bearer token."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="REFLEX_")

    url: str | None = None
    token: SecretStr | None = None


def build(_: Resources) -> Flow | Slots:
    """The consumer that the environment asks for."""
    screening, settings, cache = ScreeningSettings(), ReflexSettings(), CacheSettings()
    sealer = screening.sealer()
    store = ExaminationStore(cache.redis_url.get_secret_value()) if cache.redis_url else None
    secret = screening.seal_keys.get_secret_value().encode() if screening.seal_keys else b""
    builtin = CachedScreener(screening.screener(), store, secret)
    if settings.url is None:
        return Flow(REFLEX, Reflex(builtin, sealer).screen)
    token = settings.token.get_secret_value() if settings.token else None
    remote = RemoteReflex(settings.url, token=token)
    watching: list[asyncio.Task[None]] = []

    async def watch() -> None:
        watching.append(asyncio.create_task(remote.watch(), name="reflex-health"))

    slow = Reflex(RemoteEngine(remote, builtin), sealer)
    return Slots(replace(REFLEX, slots=_SLOTS), slow.screen_slowly, start=watch)
