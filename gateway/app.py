"""The gateway's composition root: settings in, one ASGI application out."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from events.endpoints import EndpointRules, EndpointSettings
from events.errors import GanglionError
from gateway.accept import SOURCE, Acceptor
from gateway.agents.calling import Calls
from gateway.agents.routes import Agents, agent_routes
from gateway.auth.addresses import AddressSettings
from gateway.auth.bearer import AuthSettings
from gateway.auth.callout import OutsiderSettings
from gateway.auth.rates import CountingAuthenticator, Rates, RateSettings
from gateway.auth.strangers import Strangers
from gateway.background import running
from gateway.bus import Bus
from gateway.chat.assembly import chat_routes
from gateway.chat.waiting import Waiting
from gateway.commits import Commits
from gateway.compat.routes import compat_routes
from gateway.compat.socket import Surroundings
from gateway.compat.texts import Texts
from gateway.contexts.routes import context_routes
from gateway.door.door import Door
from gateway.door.outside import Outside
from gateway.door.table import door_rules
from gateway.door.watching import NatsWatch
from gateway.errors import answer_bug, answer_error, answer_http, answer_invalid
from gateway.headroom import Headroom
from gateway.http.edge import Edge
from gateway.http.fast_path import FastPath
from gateway.http.strangers import CountStrangers
from gateway.lag import Lag
from gateway.live.admission import Admission
from gateway.live.guests import Guests
from gateway.live.hub import Hub
from gateway.live.places import MOST, Places
from gateway.live.previews import Previews
from gateway.live.replay import Replayer
from gateway.live.snapshots import Snapshots
from gateway.live.sockets import Sockets
from gateway.live.sse import Streams
from gateway.live.streaming import Streaming, description_router
from gateway.live.system_room import SystemRoom
from gateway.live.ws import LiveSockets
from gateway.metrics import Metrics
from gateway.openapi import describe
from gateway.operations.checkup import Checkup
from gateway.operations.dead_letters import DeadLetters
from gateway.operations.health import HealthRoutes
from gateway.reflex.inspecting import Inspector
from gateway.reflex.processing import ProcessSettings
from gateway.reflex.routes import ReflexRoutes
from gateway.sessions.assembly import session_routes
from gateway.tasks.assembly import task_routes
from gateway.tasks.lookup import Lookup, Recents
from gateway.tasks.submitting import CREATE, SUBMIT, Submitting
from gateway.tenants.quotas import Quotas
from gateway.tenants.routes import tenant_routes
from gateway.tenants.settings import QuotaSettings
from gateway.version import running_version
from gateway.workflows.access import Access
from gateway.workflows.routes import workflow_routes
from producers.connect import BusSettings
from screening.settings import ScreeningSettings
from storage.database import DatabaseSettings
from storage.log import latest_ids, outcomes
from storage.placeholders import names_of_session
from storage.reading import create_engine
from storage.verdicts import CacheSettings


class HttpSettings(BaseSettings):
    """`GANGLION_HOST`, `GANGLION_PORT`, `GANGLION_ALLOWED_ORIGINS` (JSON list of origins for CORS and WebSocket).

    `GANGLION_MAX_OPEN`: sockets and streams that one user may have open at one gateway.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="GANGLION_")

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65_535)
    allowed_origins: tuple[str, ...] = ()
    max_open: int = Field(default=MOST, ge=1)


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """All that the gateway is configured with."""

    http: HttpSettings
    auth: AuthSettings
    bus: BusSettings
    database: DatabaseSettings
    outsiders: OutsiderSettings = field(default_factory=OutsiderSettings)
    rates: RateSettings = field(default_factory=RateSettings)
    addresses: AddressSettings = field(default_factory=AddressSettings)
    process: ProcessSettings = field(default_factory=ProcessSettings)
    screening: ScreeningSettings = field(default_factory=ScreeningSettings)
    endpoints: EndpointSettings = field(default_factory=EndpointSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    quotas: QuotaSettings = field(default_factory=QuotaSettings)

    @classmethod
    def from_environment(cls) -> "GatewaySettings":
        """Read the environment, once, at the start of the process."""
        return cls(HttpSettings(), AuthSettings(), BusSettings(), DatabaseSettings(), OutsiderSettings())


@dataclass(frozen=True, slots=True)
class Gateway:
    """The application, and what its server must end before it stops."""

    app: ASGIApp
    hub: Hub
    sockets: Sockets
    streams: Streams
    waiting: Waiting
    places: Places

    async def drain(self) -> None:
        """Answer who waits, and send subscribers away in good order: `drain`, close 1012, come back with `after`."""
        self.hub.endings.release()
        self.waiting.drain()
        self.streams.drain()
        await self.sockets.drain()


def create_gateway(settings: GatewaySettings) -> Gateway:
    """Build everything; nothing connects before the lifespan starts."""
    engine = create_engine(settings.database)
    metrics, lag, recents = Metrics(), Lag(time.monotonic), Recents()
    rates = Rates(settings.rates, metrics)
    strangers = Strangers(settings.addresses, metrics)
    authenticator = CountingAuthenticator(settings.auth, rates, strangers)
    bus = Bus(settings.bus)
    commits = Commits(partial(outcomes, engine, SOURCE), lag)
    hub = Hub(partial(latest_ids, engine), lag, metrics)
    commits.epoch_listeners.append(hub.epoch_changed)
    headroom = Headroom(bus)
    inspector = Inspector(settings.screening, partial(names_of_session, engine))
    quotas = Quotas(settings.quotas.read(), engine)
    acceptor = Acceptor(bus, commits, lag, metrics, inspector=inspector, headroom=headroom, quotas=quotas)
    lookup = Lookup(engine, recents)
    admission = Admission(authenticator, lookup, engine)
    replayer = Replayer(engine, hub, commits, Snapshots(engine))
    places = Places(settings.http.max_open)
    streams, waiting = Streams(replayer, metrics, places), Waiting(hub, replayer)
    sockets = Sockets(metrics, settings.http.allowed_origins, places)
    live = LiveSockets(sockets, admission, replayer)
    submitting = Submitting(
        authenticator=authenticator,
        acceptor=acceptor,
        bus=bus,
        hub=hub,
        lookup=lookup,
        recents=recents,
        metrics=metrics,
    )
    dead_letters = DeadLetters(authenticator=authenticator, acceptor=acceptor, bus=bus, engine=engine)
    reflex = ReflexRoutes(
        authenticator=authenticator,
        lookup=lookup,
        engine=engine,
        metrics=metrics,
        process=settings.process,
        screening=settings.screening,
        cache=settings.cache,
    )
    checkup = Checkup(bus, engine, commits, log_sync=settings.bus.ganglion_log_sync, redis=settings.cache.redis_url)
    health = HealthRoutes(bus=bus, engine=engine, commits=commits, lag=lag, hub=hub, metrics=metrics, checkup=checkup)

    previews = Previews(inspector.screener, bus.publish)
    door = Door(
        rules=door_rules(lookup, Access(authenticator, engine), engine),
        acceptor=acceptor,
        bus=bus,
        commits=commits,
        engine=engine,
        recents=recents,
        previews=previews,
    )
    outside = Outside(
        settings.outsiders,
        settings.bus,
        bus=bus,
        authenticator=authenticator,
        agents=Agents(engine),
        door=door,
        watch=NatsWatch(admission, replayer),
        rates=rates,
    )

    async def read_the_log() -> None:
        await hub.run(await bus.client())

    system_room = SystemRoom(bus, commits, lag, hub)

    async def listen() -> None:
        await hub.speech.run(await bus.client())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        background = (
            bus.run(commits.on_announce),
            commits.run(),
            headroom.run(),
            checkup.run(),
            read_the_log(),
            listen(),
            system_room.run(),
            sockets.keep_alive(),
            streams.keep_moving(),
            Guests(engine, replayer).run(),
            *outside.parts(),
        )
        inspector.begin()
        async with running(background):
            yield
            await previews.close()
        await engine.dispose()
        for part in (checkup, reflex, rates):
            await part.close()

    app = _application(lifespan)
    app.router.routes.append(Route(SUBMIT.path, submitting.submit, methods=["POST"]))
    app.router.routes.append(Route(CREATE.path, submitting.create, methods=["POST"]))
    app.router.routes.extend(compat_routes(Surroundings(sockets, admission, replayer, Texts())))
    # The routes themselves: of a router that is included each is made anew, a third of what building a gateway takes.
    for routes in (Streaming(admission, streams), outside, dead_letters, reflex, health):
        app.router.routes.extend(routes.router().routes)
    for router in (
        *task_routes(
            authenticator=authenticator,
            acceptor=acceptor,
            commits=commits,
            lookup=lookup,
            engine=engine,
            streams=streams,
            hub=hub,
        ),
        description_router(),
        workflow_routes(authenticator=authenticator, acceptor=acceptor, engine=engine, metrics=metrics, hub=hub),
        session_routes(authenticator=authenticator, acceptor=acceptor, engine=engine, metrics=metrics, quotas=quotas),
        tenant_routes(authenticator=authenticator, quotas=quotas),
        context_routes(authenticator=authenticator, acceptor=acceptor, engine=engine),
        chat_routes(
            authenticator=authenticator,
            acceptor=acceptor,
            commits=commits,
            engine=engine,
            metrics=metrics,
            waiting=waiting,
            streams=streams,
        ),
        agent_routes(
            authenticator=authenticator,
            acceptor=acceptor,
            engine=engine,
            bus=bus,
            settings=settings.bus,
            calls=Calls(EndpointRules(settings.endpoints), settings.screening.sealer()),
        ),
    ):
        app.router.routes.extend(router.routes)
    posts = {SUBMIT.path: submitting.submit, CREATE.path: submitting.create, **outside.hot()}
    serving = CountStrangers(FastPath(app, posts, live.serve), strangers)
    return Gateway(Edge(_with_cors(serving, settings.http), metrics), hub, sockets, streams, waiting, places)


def _application(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    app = FastAPI(
        title="Ganglion",
        version=running_version(),
        description="The event bus for agent work: accepted means kept, every step is durable and streamed live.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.openapi = partial(describe, app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    app.add_exception_handler(GanglionError, answer_error)
    app.add_exception_handler(HTTPException, answer_http)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(Exception, answer_bug)
    return app


def _with_cors(app: ASGIApp, http: HttpSettings) -> ASGIApp:
    if not http.allowed_origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=http.allowed_origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=[
            *("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "Last-Event-ID", "Prefer"),
            *("X-Request-Id", "traceparent"),
        ],
        expose_headers=[
            "ETag",
            "Location",
            "X-Request-Id",
            "Retry-After",
            "Idempotency-Replayed",
            "Preference-Applied",
        ],
    )
