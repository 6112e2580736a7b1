"""Who is calling: JWT bearer tokens (RFC 7519, RFC 8725), verified once and remembered until they expire."""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import jwt
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.requests import Request

from events.agent import checked_tenant
from events.errors import InvalidIdError
from events.ids import checked_name
from gateway.auth.keys import KeyRing, StaticKey, key_ring
from gateway.auth.roles import ADMIN, READ, TENANT, WRITE, granted
from gateway.errors import MissingScopeError, UnauthorizedError

__all__ = ["ADMIN", "LEEWAY", "READ", "TENANT", "WRITE", "AuthSettings", "Authenticator", "Principal", "bearer"]

LEEWAY = 30
_MAX_TOKEN = 8_192
_REMEMBERED = 10_000
_REMEMBER_SECONDS = 300.0
_TYPES = {None, "JWT", "jwt", "at+jwt", "application/at+jwt"}


class AuthSettings(BaseSettings):
    """Exactly one of `GANGLION_JWT_SECRET` (HS256), `GANGLION_JWT_PUBLIC_KEY` (PEM) and `GANGLION_JWKS_URL`."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="GANGLION_")

    jwt_secret: SecretStr | None = None
    jwt_public_key: str | None = None
    jwks_url: str | None = None
    jwt_issuer: str = "ganglion"
    jwt_audience: str = "ganglion"


@dataclass(frozen=True, slots=True)
class Principal:
    """The bearer of a valid token. `expires_at` is a Unix time; scope admin includes all others.

    `tier` is how much it may ask for (gateway/auth/rates.py), if the token says so.
    """

    tenant: str
    owner: str
    scopes: frozenset[str]
    expires_at: float
    tier: str | None = None

    @property
    def is_admin(self) -> bool:
        """Whether it may look after Ganglion itself: dead letters, the room `system`."""
        return ADMIN in self.scopes

    @property
    def has_tenant(self) -> bool:
        """Whether it may see, and with its other scopes steer, what is the whole tenant's."""
        return TENANT in self.scopes or ADMIN in self.scopes

    def seconds_left(self) -> float:
        """How long the token is good for, leeway included; at most a day, which suits a timer."""
        return min(max(0.0, self.expires_at + LEEWAY - time.time()), 86_400.0)

    def must(self, scope: str) -> None:
        """Raise MissingScopeError unless the token grants `scope`."""
        if scope not in self.scopes and ADMIN not in self.scopes:
            raise MissingScopeError(f"the token lacks the scope {scope}")

    def may_see(self, tenant: str, owner: str) -> bool:
        """Whether something of this owner is this caller's to see."""
        return tenant == self.tenant and (owner == self.owner or self.has_tenant)


class Authenticator:
    """Turns tokens into principals. The algorithm follows from the configured key, never from the token."""

    def __init__(self, settings: AuthSettings) -> None:
        secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret else None
        self._keys: KeyRing = key_ring(secret, settings.jwt_public_key, settings.jwks_url)
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._known: dict[str, tuple[Principal, float]] = {}

    async def principal(self, token: str | None) -> Principal:
        """The bearer of `token`.

        Raises UnauthorizedError, which never says more than it must, and KeysUnavailableError.
        """
        if not token:
            raise UnauthorizedError
        known = self._known.get(token)
        if known is not None:
            if known[1] > time.time():
                return known[0]
            del self._known[token]
        return await self._verify(token)

    async def caller(self, request: Request, scope: str) -> Principal:
        """Who sends this request, if they have the scope. Raises UnauthorizedError, MissingScopeError."""
        principal = await self.principal(bearer(request.headers))
        principal.must(scope)
        return principal

    async def stranger(self) -> None:
        """Somebody is here without a valid token: for an authenticator that counts them."""

    async def _verify(self, token: str) -> Principal:
        if len(token) > _MAX_TOKEN:
            raise UnauthorizedError
        try:
            header = jwt.get_unverified_header(token)
            key = await self._keys.find(_text(header.get("kid")))
            claims = _claims(token, header, key, self._issuer, self._audience)
            principal = _principal(claims)
        except (jwt.PyJWTError, InvalidIdError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise UnauthorizedError from error
        self._remember(token, principal)
        return principal

    def _remember(self, token: str, principal: Principal) -> None:
        while len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[token] = (principal, min(principal.expires_at + LEEWAY, time.time() + _REMEMBER_SECONDS))


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of an Authorization header (RFC 6750), or None."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _claims(token: str, header: dict[str, object], key: StaticKey, issuer: str, audience: str) -> dict[str, object]:
    if header.get("typ") not in _TYPES or "crit" in header:
        raise UnauthorizedError
    _refuse_doubled_claims(token)
    return jwt.decode(
        token,
        key.key,
        algorithms=[key.algorithm],
        audience=audience,
        issuer=issuer,
        leeway=LEEWAY,
        options={"require": ["exp", "sub", "iss", "aud"]},
    )


def _refuse_doubled_claims(token: str) -> None:
    """Two readers may take different ones of two equal names (RFC 7519, section 4)."""
    for part in token.split(".")[:2]:
        json.loads(jwt.utils.base64url_decode(part), object_pairs_hook=_without_doubles)


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _principal(claims: dict[str, object]) -> Principal:
    expires_at = float(str(claims["exp"]))
    if not math.isfinite(expires_at):
        raise ValueError("exp is not finite")
    scope = _text(claims.get("scope"))
    return Principal(
        tenant=checked_tenant(_text(claims.get("tenant")) or ""),
        owner=checked_name(_text(claims["sub"]) or "", "sub"),
        scopes=granted(claims.get("role"), None if scope is None else frozenset(scope.split())),
        expires_at=expires_at,
        tier=_text(claims.get("tier")),
    )


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError("a text is expected")
    return value
