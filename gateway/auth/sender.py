"""Who is at the door: a user with a token, or an outside agent, known to nats-server or to the HTTP edge."""

import time
from dataclasses import dataclass
from typing import Literal, Self, cast

import orjson

from gateway.auth.bearer import ADMIN, READ, WRITE, Principal
from gateway.errors import UnauthorizedError
from storage.limits import TIERS

_INFO = "Nats-Request-Info"
_NONE = "-"

Kind = Literal["user", "agent"]


@dataclass(frozen=True, slots=True)
class Sender:
    """Whoever sends an event, verified. `name` is the token's `sub`, or the agent's id; `expires_at` a Unix time."""

    kind: Kind
    tenant: str
    name: str
    scopes: frozenset[str]
    expires_at: float
    tier: str | None = None

    @classmethod
    def of(cls, principal: Principal) -> Self:
        """The bearer of a user's token."""
        return cls("user", principal.tenant, principal.owner, principal.scopes, principal.expires_at, principal.tier)

    @classmethod
    def agent(cls, tenant: str, agent_id: str) -> Self:
        """An outside agent; its right ends when its row does, not at a time."""
        return cls("agent", tenant, agent_id, frozenset(), time.time() + 365 * 86_400)

    @property
    def principal(self) -> Principal:
        """As the handlers of HTTP know a caller."""
        return Principal(self.tenant, self.name, self.scopes, self.expires_at, self.tier)

    @property
    def user_name(self) -> str:
        """What nats-server is told to call this connection; it repeats that with each request (`from_headers`).

        Ids, scopes and tiers of ours hold no space. Scopes and tiers of others mean nothing here and are left out.
        """
        scopes = ",".join(sorted(self.scopes & {READ, WRITE, ADMIN})) or _NONE
        tier = self.tier if self.tier in TIERS else _NONE
        return " ".join((self.kind, self.tenant, self.name, str(int(self.expires_at)), tier, scopes))

    @classmethod
    def from_headers(cls, headers: dict[str, str] | None) -> Self:
        """Who sent a request through NATS. Raises UnauthorizedError.

        nats-server itself writes the header when a request passes from the outsiders' account into ours (NATS ADR-3,
        `share`); what a client wrote there is taken away by it or by our client (`producers.client`).
        """
        try:
            user = orjson.loads((headers or {})[_INFO])["user"]
            kind, tenant, name, expires_at, tier, scopes = user.split(" ")
            if kind not in {"user", "agent"}:
                raise UnauthorizedError
            granted = frozenset(scopes.split(",")) - {_NONE}
            given = None if tier == _NONE else tier
            return cls(cast("Kind", kind), tenant, name, granted, float(expires_at), given)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnauthorizedError from error
