"""Which addresses of outside agents may be called: public ones over https, and what a setting allows besides.

A name says nothing about where it leads: `check` judges the URL alone, `permits` each address that its name has when
it is called. Pure: nothing is resolved here.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from events.errors import PermanentError

Address = IPv4Address | IPv6Address
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\Z")
_SERVES_ITS_CLOUD = frozenset(map(ip_address, ("168.63.129.16",)))
"""Public by their numbers, and yet the inside of somebody's cloud; the other such addresses are link-local."""
_EMBEDDING = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
"""NAT64: a gateway takes the last four bytes for an address of IPv4 (RFC 6052)."""
_PORTS = {"http": 80, "https": 443}


class EndpointForbiddenError(PermanentError):
    """The agent's endpoint must not be called: https to a public address, or what GANGLION_PUSH_ALLOW names."""

    code = "endpoint_forbidden"


class Endpoint(NamedTuple):
    """The parts of an endpoint that may be called, as far as its URL tells."""

    scheme: str
    host: str
    port: int
    path: str


class EndpointSettings(BaseSettings):
    """`GANGLION_PUSH_ALLOW`: a JSON list of host names and networks that agents may be called at over http too, and
    inside of one's own network.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="GANGLION_PUSH_")

    allow: tuple[str, ...] = ()

    @field_validator("allow")
    @classmethod
    def _readable(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        for one in allow:
            if _network(one) is None and not _HOST.match(one.lower()):
                raise ValueError("each is a host name, an address or a network")
        return allow


class EndpointRules:
    """What may be called."""

    def __init__(self, settings: EndpointSettings) -> None:
        networks = {one: _network(one) for one in settings.allow}
        self._hosts = frozenset(one.lower() for one, network in networks.items() if network is None)
        self._networks = tuple(network for network in networks.values() if network is not None)

    @classmethod
    def of(cls, allow: Sequence[str] = ()) -> Self:
        """The rules with these exceptions."""
        return cls(EndpointSettings(allow=tuple(allow)))

    def check(self, url: str) -> Endpoint:
        """The endpoint, judged by its URL alone. Raises EndpointForbiddenError, which says why."""
        endpoint = _parsed(url)
        literal = _literal(endpoint.host)
        listed = endpoint.host in self._hosts or (literal is not None and self._is_listed(literal))
        if endpoint.scheme != "https" and not listed:
            raise EndpointForbiddenError("An agent is called over https.")
        if literal is not None and not self.permits(endpoint.host, literal):
            raise EndpointForbiddenError("An agent is called at a public address.")
        return endpoint

    def permits(self, host: str, address: Address) -> bool:
        """Whether this address of the host may be connected to."""
        return host in self._hosts or self._is_listed(address) or _is_public(address)

    def _is_listed(self, address: Address) -> bool:
        plain = _unmapped(address)
        return any(plain.version == network.version and plain in network for network in self._networks)


def _parsed(url: str) -> Endpoint:
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError:
        raise EndpointForbiddenError("The endpoint is no URL.") from None
    if parts.scheme not in _PORTS or not url.isascii() or any(character <= " " for character in url):
        raise EndpointForbiddenError("The endpoint is an https URL of printable ASCII characters.")
    if "@" in parts.netloc or parts.query or parts.fragment or "?" in url or "#" in url:
        raise EndpointForbiddenError("The endpoint has no user, no query and no fragment.")
    if _literal(host) is None and not _HOST.match(host):
        raise EndpointForbiddenError("The endpoint names no host.")
    return Endpoint(parts.scheme, host, port or _PORTS[parts.scheme], parts.path.rstrip("/"))


def _is_public(address: Address) -> bool:
    plain = _unmapped(address)
    if isinstance(plain, IPv6Address):
        inner = plain.sixtofour or (plain.teredo or (None, None))[1]
        if inner is None and any(plain in network for network in _EMBEDDING):
            inner = IPv4Address(plain.packed[-4:])
        if inner is not None and not _is_public(inner):
            return False
        if plain.is_site_local:
            return False
    closed = plain.is_multicast or plain.is_reserved or plain.is_unspecified or plain in _SERVES_ITS_CLOUD
    return plain.is_global and not closed


def _unmapped(address: Address) -> Address:
    """`::ffff:127.0.0.1` as what it stands for."""
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None
