"""Bring your own agent: a function from a task to its result; everything around it is done here.

    agent = Agent("AGENT-SHOUTER", ["shout"])

    @agent.handler
    async def run(task, ctx):
        await ctx.progress(50, "half way")
        return {"text": task.prompt.upper()}

    agent.run()

It registers with a Ganglion token, pulls as much work as it has slots, keeps each run alive, cancels the function
within a second when nobody wants its result any more, comes back after a cut, and drains on SIGTERM. docs/agents.md.
"""

import asyncio
import signal
from collections.abc import Mapping, Sequence

import structlog
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from events.base import JsonObject
from events.process import configure_logs
from producers.agents.context import Context
from producers.agents.errors import AgentError, NotMineError, SupersededError
from producers.agents.registering import Offer, fell_silent, register
from producers.agents.run import BEAT, Handler
from producers.agents.work import Result, Returned, Task
from producers.agents.worker import Worker
from producers.sdk.errors import ProducerError, RefusedError
from producers.sdk.transport import Token

__all__ = [
    "Agent",
    "AgentError",
    "Context",
    "NotMineError",
    "ProducerError",
    "RefusedError",
    "Result",
    "Returned",
    "SupersededError",
    "Task",
]

log = structlog.get_logger()


class AgentSettings(BaseSettings):
    """`GANGLION_URL`, `GANGLION_TOKEN` (scope agents:write); `GANGLION_NATS_URL` if NATS is elsewhere than told."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="GANGLION_")

    url: str = "http://127.0.0.1:8080"
    token: SecretStr = Field(default=SecretStr(""))
    nats_url: str | None = None


class Agent:
    """One agent of one tenant; its name is its id. Where it connects comes from the environment unless given."""

    def __init__(
        self,
        name: str,
        capabilities: Sequence[str] | Mapping[str, float],
        *,
        slots: int = 1,
        agent_type: str = "implementer",
        technologies: Sequence[str] = (),
        version: str | None = None,
        metadata: JsonObject | None = None,
        url: str | None = None,
        token: Token | None = None,
        nats_url: str | None = None,
        grace: float = 30.0,
        beat: float = BEAT,
    ) -> None:
        """`capabilities`: names, or names with weights (1 primary, 0.7 secondary). `slots`: runs at a time, 1 to 50.

        `grace`: seconds that runs in hand have to end when it drains; `beat`: seconds between signs of life.
        """
        weights = dict(capabilities) if isinstance(capabilities, Mapping) else dict.fromkeys(capabilities, 1.0)
        self._offer = Offer(
            name=name,
            capabilities=weights,
            agent_type=agent_type,
            max_concurrent_capacity=slots,
            technologies=technologies,
            version=version,
            metadata=metadata or {},
        )
        self._place = (url, token, nats_url)
        self._grace = grace
        self._beat = beat
        self._handler: Handler | None = None
        self._worker: Worker | None = None
        self._leaving = asyncio.Event()

    def handler(self, function: Handler) -> Handler:
        """Make this the function that does the work; it is called with a Task and a Context."""
        self._handler = function
        return function

    def run(self) -> None:
        """Work until SIGTERM or SIGINT, then drain. Raises RefusedError, SupersededError."""
        configure_logs(of_an_author=True)
        asyncio.run(self._run())

    async def serve(self) -> None:
        """The same within a running loop, without signals; `drain()` ends it."""
        if self._handler is None:
            raise ProducerError("the agent has no handler: decorate a function with @agent.handler")
        settings = AgentSettings()
        url, token, nats_url = self._place
        url, token = url or settings.url, token or settings.token.get_secret_value()
        while True:
            try:
                return await self._work(self._handler, url, token, nats_url or settings.nats_url)
            except SupersededError:
                if not await fell_silent(url, token, self._offer.name):
                    raise
                log.warning("agent_was_gone", agent=self._offer.name)

    async def _work(self, handler: Handler, url: str, token: Token, nats_url: str | None) -> None:
        """As one registration, until drained. Raises SupersededError."""
        registration = await register(url, token, self._offer, self._leaving)
        if registration is None:
            return
        where = nats_url or registration.connection.url
        self._worker = Worker(handler, registration, url, where, slots=self._slots, beat=self._beat)
        log.info("agent_registered", agent=registration.agent_id, tenant=registration.tenant, slots=self._slots)
        if self._leaving.is_set():
            self._worker.drain()
        await self._worker.run(grace=self._grace)

    def drain(self) -> None:
        """Take nothing new, end what is in hand, deregister."""
        self._leaving.set()
        if self._worker is not None:
            self._worker.drain()

    @property
    def _slots(self) -> int:
        return self._offer.max_concurrent_capacity

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.drain)
        await self.serve()
