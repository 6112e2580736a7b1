"""The keys that tokens are verified with: one that is configured, or a JWKS that may rotate (RFC 7517)."""

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

import httpx
import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gateway.errors import KeysUnavailableError

log = structlog.get_logger()

_MIN_SECRET = 32
_MIN_RSA_BITS = 2_048
_REFETCH = 30.0
_MAX_AGE = 300.0
_MAX_KEYS = 64
_ALGORITHMS = {"RSA": "RS256", "OKP": "EdDSA"}


@dataclass(frozen=True, slots=True)
class StaticKey:
    """A key and the only algorithm it is used with."""

    key: str | RSAPublicKey | Ed25519PublicKey
    algorithm: str


class KeyRing(Protocol):
    """Where keys come from."""

    async def find(self, kid: str | None) -> StaticKey:
        """The key that a token naming `kid` must be signed with.

        Raises jwt.InvalidKeyError if there is none, KeysUnavailableError if that cannot be told.
        """
        ...


class OneKey:
    """The key of the settings, whatever the token says."""

    def __init__(self, key: StaticKey) -> None:
        self._key = key

    async def find(self, kid: str | None) -> StaticKey:  # noqa: ARG002 - the name in a token chooses nothing here
        """The configured key."""
        return self._key


class RemoteKeys:
    """The public keys of a JWKS URL: read when first needed, when a kid is unknown, and every 5 minutes.

    At most every 30 s; what could not be read is tried again after 1, 2, 4, 8 and 16 s first.
    """

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = url
        self._transport = transport
        self._keys: dict[str | None, StaticKey] = {}
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._failures = 0
        self._reading = asyncio.Lock()

    async def find(self, kid: str | None) -> StaticKey:
        """The key named `kid`; without a kid the only key there is. A known key waits for no other's reading."""
        if kid not in self._keys or (self._is_due(kid) and not self._reading.locked()):
            async with self._reading:
                if self._is_due(kid):
                    self._tried_at = monotonic()
                    await self._read()
                    self._tried_at = monotonic()
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        if kid is None or kid not in self._keys:
            if self._failures:  # it may be one of those that could not be read
                raise KeysUnavailableError(retry_after=self._tried_at + self._pause - monotonic())
            raise jwt.InvalidKeyError("no such key")
        return self._keys[kid]

    @property
    def _pause(self) -> float:
        """Seconds between two attempts."""
        return min(_REFETCH, 2.0 ** min(self._failures - 1, 5)) if self._failures else _REFETCH

    def _is_due(self, kid: str | None) -> bool:
        now = monotonic()
        known = kid in self._keys and now - self._read_at < _MAX_AGE
        return not known and now - self._tried_at >= self._pause

    async def _read(self) -> None:
        self._failures += 1
        try:
            async with httpx.AsyncClient(transport=self._transport, timeout=2.0, trust_env=False) as client:
                answer = await client.get(self._url)
                answer.raise_for_status()
                listed = _entries(answer.json()["keys"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.warning("jwks_unreadable", error=type(error).__name__)
            return
        self._keys = {kid: key for kid, entry in listed if (key := _read_jwk(entry)) is not None}
        self._read_at = monotonic()
        self._failures = 0


def _entries(keys: object) -> list[tuple[str | None, dict[str, object]]]:
    """The entries of a JWKS with their names. Raises TypeError for what is no list."""
    if not isinstance(keys, list):
        raise TypeError
    entries = [entry for entry in keys[:_MAX_KEYS] if isinstance(entry, dict)]
    return [(kid, entry) for entry in entries if isinstance(kid := entry.get("kid"), str | None)]


def key_ring(secret: str | None, public_key: str | None, jwks_url: str | None) -> KeyRing:
    """The ring for whichever one is set. Raises ValueError unless exactly one is, and it is strong enough."""
    if sum(value is not None for value in (secret, public_key, jwks_url)) != 1:
        raise ValueError("set exactly one of GANGLION_JWT_SECRET, GANGLION_JWT_PUBLIC_KEY and GANGLION_JWKS_URL")
    if jwks_url is not None:
        return RemoteKeys(jwks_url)
    if secret is not None:
        if len(secret.encode()) < _MIN_SECRET:
            raise ValueError(f"GANGLION_JWT_SECRET must have at least {_MIN_SECRET} bytes")
        return OneKey(StaticKey(secret, "HS256"))
    return OneKey(_public_key(load_pem_public_key((public_key or "").encode())))


def _public_key(key: object) -> StaticKey:
    if isinstance(key, RSAPublicKey) and key.key_size >= _MIN_RSA_BITS:
        return StaticKey(key, "RS256")
    if isinstance(key, Ed25519PublicKey):
        return StaticKey(key, "EdDSA")
    raise ValueError("the public key must be RSA of at least 2048 bits, or Ed25519")


def _read_jwk(entry: dict[str, object]) -> StaticKey | None:
    """A key of a kind we use, or None: a JWKS may hold others, and symmetric ones are never taken from it."""
    algorithm = _ALGORITHMS.get(str(entry.get("kty")))
    if algorithm is None or entry.get("use", "sig") != "sig":
        return None
    try:
        return _public_key(jwt.PyJWK(entry, algorithm).key)
    except (jwt.PyJWTError, ValueError):
        return None
