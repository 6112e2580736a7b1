"""Where a request comes from: the peer's address, or what the proxies that are trusted say of it."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from pydantic import IPvAnyNetwork
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.types import Scope

from gateway.auth.tiers import Tier

UNKNOWN = "unknown"
_FORWARDED = b"x-forwarded-for"
_HOST_BITS = 64
"""Of an IPv6 address: whoever has one has all that differ in these."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class AddressSettings(BaseSettings):
    """`GANGLION_ADDRESS_TIER`: how many requests without a valid token one address may make; each gateway counts for
    itself. `GANGLION_TRUSTED_PROXIES` (JSON list of networks): whose `X-Forwarded-For` is believed.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="GANGLION_")

    address_tier: Tier = "enterprise"
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()


def address_of(scope: Scope, trusted: Iterable[Network]) -> str:
    """The client's address; of one of IPv6 the network, in which it may have any number of them.

    Each proxy adds whom it was called by at the end of the header, so that is read from its end: the first who is not
    trusted is the client, whatever stands before it.
    """
    peer = scope.get("client")
    found = _parsed(peer[0]) if peer else None
    if found is None:
        return UNKNOWN
    if _is_in(found, trusted):
        for said in reversed(_forwarded(scope)):
            address = _parsed(said)
            if address is None:
                break
            found = address
            if not _is_in(found, trusted):
                break
    return str(found) if found.version == 4 else str(IPv6Network((int(found), 128 - _HOST_BITS), strict=False))


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _forwarded(scope: Scope) -> list[str]:
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == _FORWARDED]
    return ",".join(values).split(",") if values else []


def _parsed(text: str) -> Address | None:
    """An address as proxies write it, some of them with a port; IPv4 within IPv6 is IPv4."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
