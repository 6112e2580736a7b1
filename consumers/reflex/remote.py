"""A client of `POST /process` (requirements 000.2) for a reflex service that runs elsewhere.

A text gets three tries, 1 to 5 s apart with full jitter, after transport errors, 5xx and 429 only. Each try counts for
the breaker: five that fail in a row leave the service alone for a minute.
"""

import asyncio
from dataclasses import replace
from hashlib import sha256
from time import perf_counter
from types import TracebackType
from typing import Self

import httpx
import structlog
from prometheus_client import Counter, Gauge, Histogram
from pydantic import ValidationError
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random

from consumers._breaker import Breaker
from events.errors import TransientError
from producers.said import Said
from screening.contract import MAX_TEXT, ProcessAnswer, ProcessRequest, examination
from screening.model import Examination

log = structlog.get_logger()

_TRIES, _SHORTEST_WAIT, _LONGEST_WAIT = 3, 1.0, 5.0
_TIMEOUT, _HEALTH_TIMEOUT, _HEALTH_EVERY = 10.0, 5.0, 15.0
_OVERLAP = 1_000
_MAX_ANSWER = 8 << 20
_LONGEST_VERSION = 64

_CALLS = Counter("ganglion_reflex_engine_calls_total", "Calls of the reflex service, by how they ended.", ["outcome"])
_SECONDS = Histogram("ganglion_reflex_engine_seconds", "Time until the reflex service answered.")
_UP = Gauge("ganglion_reflex_engine_up", "Whether the reflex service said of itself that it is well.")


class ReflexAwayError(TransientError):
    """The reflex service cannot be reached or does not work."""

    code = "reflex_away"


class ReflexBusyError(TransientError):
    """The reflex service takes no more for now."""

    code = "reflex_busy"


class ReflexRefusesError(TransientError):
    """The reflex service takes no request of ours: its settings or ours are wrong."""

    code = "reflex_refuses"


class RemoteReflex:
    """The service at `url` (`http://host:8080`); `token` is sent as bearer."""

    name = "remote"

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        breaker: Breaker | None = None,
        longest_wait: float = _LONGEST_WAIT,
        patience: float = _TIMEOUT,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=patience,
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
        )
        self._breaker = breaker or Breaker("reflex", lambda error: isinstance(error, ReflexAwayError))
        self._longest_wait = longest_wait
        self._patience = patience
        self.rules_version = "unknown"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def examine(self, text: str, *, tenant: str) -> Examination:
        """What the service finds in a text of any length. Raises TransientError when it gives no answer."""
        if not text:
            return Examination()
        step = MAX_TEXT - _OVERLAP
        starts = range(0, max(1, len(text) - _OVERLAP), step)
        parts = [(start, await self._part(text[start : start + MAX_TEXT], tenant)) for start in starts]
        if len(parts) == 1:
            return parts[0][1]
        found = {
            replace(f, start=f.start + start, end=f.end + start): None for start, part in parts for f in part.findings
        }
        return Examination(tuple(found), max(part.score for _, part in parts))

    async def healthy(self) -> bool:
        """Whether `GET /health` answers well within 5 s."""
        try:
            async with asyncio.timeout(_HEALTH_TIMEOUT):
                return (await self._http.get("/health")).is_success
        except (httpx.HTTPError, TimeoutError):
            return False

    async def watch(self) -> None:
        """Tell the metrics and the log how the service fares, every 15 s."""
        said = Said()
        while True:
            now = await self.healthy()
            _UP.set(now)
            if said.becomes(now):
                log.info("reflex_service", healthy=now, breaker=self._breaker.state)
            await asyncio.sleep(_HEALTH_EVERY)

    async def _part(self, text: str, tenant: str) -> Examination:
        request = ProcessRequest.model_construct(text=text, user_id=sha256(tenant.encode()).hexdigest()[:32])
        body = request.model_dump_json().encode()
        said = await self._answer(body)
        self.rules_version = (said.rules_version or "unknown")[:_LONGEST_VERSION]
        return examination(said, len(text))

    async def _answer(self, body: bytes) -> ProcessAnswer:
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(_TRIES),
            wait=wait_random(min(_SHORTEST_WAIT, self._longest_wait), self._longest_wait),
            retry=retry_if_exception_type((ReflexAwayError, ReflexBusyError)),
            reraise=True,
        ):
            with attempt:
                return await self._breaker.call(lambda: self._try(body))
        raise ReflexAwayError

    async def _try(self, body: bytes) -> ProcessAnswer:
        began = perf_counter()
        try:
            # httpx waits so long for each piece of an answer, and an answer may have any number of pieces.
            async with asyncio.timeout(self._patience):
                answer = await self._http.post("/process", content=body, headers={"Content-Type": "application/json"})
        except (httpx.RequestError, TimeoutError) as error:
            _CALLS.labels("failed").inc()
            raise ReflexAwayError from error
        finally:
            _SECONDS.observe(perf_counter() - began)
        try:
            said = _understood(answer)
        except TransientError as error:
            _CALLS.labels(error.code).inc()
            raise
        _CALLS.labels("answered").inc()
        return said


def _understood(answer: httpx.Response) -> ProcessAnswer:
    """The answer by the contract; raises by what it is instead. A 200 may say that it was none."""
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise ReflexBusyError(retry_after=_seconds(answer.headers.get("Retry-After")))
    if answer.is_server_error:
        raise ReflexAwayError(f"The reflex service answered {answer.status_code}.")
    if not answer.is_success:
        raise ReflexRefusesError(f"The reflex service answered {answer.status_code}.")
    if len(answer.content) > _MAX_ANSWER:
        raise ReflexAwayError("The reflex service answered more than can be an answer.")
    try:
        said = ProcessAnswer.model_validate_json(answer.content)
    except ValidationError as error:
        places = sorted({".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False)})
        raise ReflexAwayError(f"The reflex service's answer does not fit the contract at {places[:5]}.") from None
    if said.status == "ratelimited":
        raise ReflexBusyError
    if said.status == "error":
        raise ReflexAwayError("The reflex service says that it failed.")
    return said


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isdecimal() else None
