"""Where a call goes: the name is resolved once, each address is judged, and the connection is made to one of these.

So nobody can show the check one address and the connection another (DNS rebinding).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address

from consumers.push.errors import AgentAwayError
from events.endpoints import Address, Endpoint, EndpointForbiddenError, EndpointRules

_THREADS = 8
_TRIED = 4
"""Addresses of one name that are tried, one after the other."""

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


class SystemResolver:
    """The system's resolver, in threads of its own: names that take long hold up no other work of the process."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolve")

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """All addresses of a host. Raises AgentAwayError."""
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        except (OSError, UnicodeError) as error:
            raise AgentAwayError("The agent's name has no address.") from error
        return [ip_address(str(place[0]).partition("%")[0]) for *_, place in found]


async def addresses_of(endpoint: Endpoint, rules: EndpointRules, resolve: Resolve) -> list[Address]:
    """Where the endpoint may be called, at least one address.

    Raises EndpointForbiddenError if it leads to one that may not be called, even beside others; AgentAwayError.
    """
    found = list(dict.fromkeys(await resolve(endpoint.host, endpoint.port)))
    if not found:
        raise AgentAwayError("The agent's name has no address.")
    if not all(rules.permits(endpoint.host, address) for address in found):
        raise EndpointForbiddenError("The agent's name leads to an address that is not public.")
    return found[:_TRIED]
