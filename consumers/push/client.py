"""Calls an outside agent: signed, at an address that was judged, its answer bounded, no redirect followed.

At most three tries, of transport errors, 5xx and 429 only; all have the same id, so that the agent recognises a repeat,
and each its own time and signature.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_random

from consumers.push.addresses import Resolve, SystemResolver, addresses_of
from consumers.push.errors import AgentAwayError, AgentRefusedError, AnswerTooLargeError, WrongPlaceError
from consumers.push.settings import PushSettings
from events.endpoints import Address, Endpoint, EndpointRules
from events.signing import signed

MAX_ANSWER = 8 * 1024 * 1024
"""Bytes of an answer: 4 MiB of files and 700 KiB of output, with what JSON adds."""
_SHORTEST_PAUSE = 1.0
_OF_THE_TASK = frozenset({400, 409, 413, 415, 422})
"""The agent answers, and says that this request is wrong; any other refusal says that this is not the place to ask."""
_ALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
]
"""An agent may say nothing for an hour; that its machine is gone is noticed within a minute."""


@dataclass(frozen=True, slots=True)
class Call:
    """One piece of work for one agent; `id` is its run's."""

    url: str
    id: str
    secrets: Sequence[bytes] = field(repr=False)
    body: bytes = field(repr=False)
    traceparent: str | None = None


class AgentClient:
    """Calls agents. The caller bounds how long a whole call may take, by cancelling it."""

    def __init__(self, settings: PushSettings, rules: EndpointRules, *, resolve: Resolve | None = None) -> None:
        self._settings = settings
        self._rules = rules
        self._resolve = resolve or SystemResolver()
        self._trusted = httpx.create_ssl_context(trust_env=False)
        if settings.ca is not None:
            self._trusted.load_verify_locations(settings.ca)

    async def ask(self, call: Call) -> bytes:
        """The body of the agent's answer.

        Raises AgentAwayError after the last try, WrongPlaceError, AgentRefusedError, AnswerTooLargeError,
        EndpointForbiddenError.
        """
        endpoint = self._rules.check(call.url)
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._settings.tries),
            wait=self._pause,
            retry=retry_if_exception_type(AgentAwayError),
            reraise=True,
        )
        return await retrying(self._once, call, endpoint)

    def _pause(self, tried: RetryCallState) -> float:
        """1 to 10 s with full jitter; longer if the agent says so, within reason."""
        longest = self._settings.longest_pause
        jitter = wait_random(min(_SHORTEST_PAUSE, longest), longest)(tried)
        error = tried.outcome.exception() if tried.outcome else None
        asked = error.retry_after if isinstance(error, AgentAwayError) else None
        return max(jitter, min(asked or 0.0, longest))

    async def _once(self, call: Call, endpoint: Endpoint) -> bytes:
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                addresses = await addresses_of(endpoint, self._rules, self._resolve)
        except TimeoutError as error:
            raise AgentAwayError("The agent's name was not resolved in time.") from error
        refused: httpx.ConnectError | None = None
        for address in addresses:
            try:
                return await self._at(address, call, endpoint)
            except httpx.ConnectError as error:  # nothing was sent: the next address may answer
                refused = error
            except (httpx.TransportError, httpx.InvalidURL, ssl.SSLError) as error:
                raise AgentAwayError(f"The agent did not answer ({type(error).__name__}).") from error
        raise AgentAwayError("The agent could not be connected to.") from refused

    async def _at(self, address: Address, call: Call, endpoint: Endpoint) -> bytes:
        """One try at one address. The certificate is that of the name, whatever the address."""
        shown = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
        url = f"{endpoint.scheme}://{shown}:{endpoint.port}{endpoint.path}/task"
        headers = {
            **signed(call.secrets, call.id, int(time.time()), call.body),
            "Host": httpx.URL(call.url).netloc.decode(),
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Idempotency-Key": call.id,
            "User-Agent": "ganglion",
            **({} if call.traceparent is None else {"traceparent": call.traceparent}),
        }
        timeout = httpx.Timeout(self._settings.connect_timeout, read=None)
        transport = httpx.AsyncHTTPTransport(verify=self._trusted, socket_options=_ALIVE)
        named = {"sni_hostname": endpoint.host}
        async with (
            httpx.AsyncClient(transport=transport, timeout=timeout, trust_env=False) as http,
            http.stream("POST", url, content=call.body, headers=headers, extensions=named) as answer,
        ):
            _judge(answer)
            return await _bounded(answer)


def _judge(answer: httpx.Response) -> None:
    """Return if the agent took the task; raise what its answer says otherwise."""
    status = answer.status_code
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise AgentAwayError(f"The agent answers {status}.", retry_after=_seconds(answer))
    if status in _OF_THE_TASK:
        raise AgentRefusedError(f"The agent refuses the task ({status}).")
    if not answer.is_success:
        raise WrongPlaceError(f"The agent's endpoint answers {status}.")
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise WrongPlaceError("The agent's endpoint answers in an encoding that was not asked for.")


async def _bounded(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > MAX_ANSWER:
            raise AnswerTooLargeError
    return bytes(body)


def _seconds(answer: httpx.Response) -> float | None:
    """The `Retry-After` of an answer, in seconds (RFC 9110, 10.2.3; dates are not read)."""
    asked = answer.headers.get("retry-after", "")
    return float(asked) if asked.isascii() and asked.isdigit() else None
