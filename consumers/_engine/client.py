"""The client of a spec engine: invoke, state, cleanup, stream; retries, timeouts, breaker (requirements 001.3, O.2).

Each try counts for the breaker, not each call; what the engine refuses (4xx) proves that it answers. Retrying is
harmless: a job's id makes a second invoke the first one's.
"""

import copy
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Self

import httpx
import orjson
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_random
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException

from consumers._breaker import Breaker
from consumers._engine.answers import Frame, ThreadState, read_frame, read_state
from consumers._engine.errors import EngineAwayError, EngineRefusedError, UnknownThreadError
from consumers._engine.settings import EngineSettings
from events.base import JsonObject
from events.spans import Spans
from events.task import CODE

_MAX_FRAME = 16 * 1024 * 1024
_READY_TIMEOUT = 5.0
_SHORTEST_PAUSE = 1.0


class SpecEngineClient:
    """One engine; `async with` closes the connections.

    Methods raise EngineAwayError or BreakerOpenError, which pass, EngineRefusedError or UnknownThreadError.
    """

    def __init__(self, settings: EngineSettings, spans: Spans | None = None) -> None:
        self._settings = settings
        self._spans = spans or Spans()
        self._http = httpx.AsyncClient(
            base_url=settings.url,
            headers=settings.headers,
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
            trust_env=False,
        )
        self.breaker = Breaker(
            "spec_engine",
            counts=lambda error: isinstance(error, EngineAwayError),
            pause=settings.breaker_pause,
        )
        self._traceparent: str | None = None

    def traced(self, traceparent: str | None) -> Self:
        """The same connections and breaker; every call belongs to this trace (W3C Trace Context)."""
        same = copy.copy(self)
        same._traceparent = traceparent  # noqa: SLF001 - a client like this one
        return same

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ready(self) -> bool:
        """Whether the engine says that it is ready; an engine without such a route may be asked for work.

        Counts for nothing: who waits for an engine asks often.
        """
        try:
            answer = await self._http.get("/ready", timeout=_READY_TIMEOUT)
        except httpx.TransportError:
            return False
        return answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR

    async def invoke(self, job: JsonObject) -> None:
        """Start a job, or find it started."""
        await self._call("POST", "/invoke", self._settings.invoke_timeout, content=orjson.dumps(job))

    async def state(self, thread_id: str, *, tries: int | None = None) -> ThreadState:
        """Where a thread is."""
        answer = await self._call("GET", f"/state/{thread_id}", self._settings.state_timeout, tries=tries)
        return read_state(answer.content)

    async def cleanup(self, thread_id: str) -> None:
        """Have the engine forget a thread; harmless when it has."""
        try:
            await self._call("DELETE", f"/cleanup/{thread_id}", self._settings.cleanup_timeout, tries=1)
        except UnknownThreadError:
            return

    @asynccontextmanager
    async def stream(self, thread_id: str) -> AsyncIterator[AsyncIterator[Frame]]:
        """The frames of a thread as they come, until the engine closes. Any trouble is an EngineAwayError."""
        try:
            with self._trace("stream") as carried:
                async with connect(
                    f"{self._settings.stream_url}/{thread_id}",
                    additional_headers={**self._settings.headers, **carried},
                    max_size=_MAX_FRAME,
                    compression=None,
                    proxy=None,
                ) as socket:
                    yield (frame async for text in socket if (frame := read_frame(text)) is not None)
        except InvalidStatus as error:
            raise EngineAwayError(f"no stream: the engine answers {error.response.status_code}") from error
        except (OSError, WebSocketException, InvalidHandshake, InvalidURI) as error:
            raise EngineAwayError(f"the stream broke: {type(error).__name__}") from error

    async def _call(
        self, method: str, path: str, within: float, *, content: bytes | None = None, tries: int | None = None
    ) -> httpx.Response:
        """At most three tries, 1 to 5 s apart with full jitter; each goes through the breaker."""
        retrying = AsyncRetrying(
            stop=stop_after_attempt(tries or self._settings.tries),
            wait=self._pause,
            retry=retry_if_exception_type(EngineAwayError),
            reraise=True,
        )
        return await retrying(self.breaker.call, lambda: self._once(method, path, within, content))

    def _pause(self, tried: RetryCallState) -> float:
        """1 to 5 s with full jitter; longer if the engine says so, within reason."""
        longest = self._settings.longest_pause
        jitter = wait_random(min(_SHORTEST_PAUSE, longest), longest)(tried)
        error = tried.outcome.exception() if tried.outcome else None
        asked = error.retry_after if isinstance(error, EngineAwayError) else None
        return max(jitter, min(asked or 0.0, longest))

    async def _once(self, method: str, path: str, within: float, content: bytes | None) -> httpx.Response:
        with self._trace(path.split("/")[1]) as carried:
            headers = carried if content is None else {**carried, "Content-Type": "application/json"}
            try:
                answer = await self._http.request(
                    method, self._settings.prefix + path, content=content, headers=headers, timeout=within
                )
            except httpx.TransportError as error:
                raise EngineAwayError(f"no answer: {type(error).__name__}") from error
            return _judged(answer)

    @contextmanager
    def _trace(self, call: str) -> Iterator[dict[str, str]]:
        """The span of one call, and the headers that carry it on."""
        with self._spans.calling(f"spec_engine {call}", self._traceparent) as own:
            yield {} if own is None else {"traceparent": own}


def _judged(answer: httpx.Response) -> httpx.Response:
    """A good answer, or the error that it is."""
    status = answer.status_code
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise EngineAwayError(f"the engine answers {status}", retry_after=_seconds(answer))
    if status == httpx.codes.NOT_FOUND:
        raise UnknownThreadError
    if not answer.is_success:
        raise EngineRefusedError(f"the engine answers {status} {_code(answer)}".rstrip())
    return answer


def _seconds(answer: httpx.Response) -> float | None:
    """The `Retry-After` of an answer, in seconds (RFC 9110, 10.2.3; dates are not read)."""
    asked = answer.headers.get("retry-after", "")
    return float(asked) if asked.isdecimal() else None


def _code(answer: httpx.Response) -> str:
    """The stable code of a problem, if it has one."""
    try:
        found = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return ""
    code = found.get("code") if isinstance(found, dict) else None
    return code if isinstance(code, str) and re.fullmatch(CODE, code) else ""
