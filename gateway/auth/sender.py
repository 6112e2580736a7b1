"""Who is at the door: a user with a token, or an outside agent, known to nats-server or to the HTTP edge."""

import time
from dataclasses import dataclass
from typing import Literal, Self

import orjson

from gateway.auth.bearer import ADMIN, READ, TENANT, WRITE, Principal
from gateway.errors import UnauthorizedError
from storage.agents import mark_of
from storage.limits import TIERS

_INFO = "Nats-Request-Info"
_NONE = "-"
_LINE_LASTS = 570.0
"""Seconds, and LEEWAY, for which an agent may hold a line to NATS before it is asked for its token again."""

Kind = Literal["user", "agent"]


@dataclass(frozen=True, slots=True)
class Sender:
    """Whoever sends an event, verified. `name` is the token's `sub`, or the agent's id; `expires_at` a Unix time.

    `token_mark` tells with which of its tokens an agent came (storage/agents.py): a later one ends the rights of it.
    """

    kind: Kind
    tenant: str
    name: str
    scopes: frozenset[str]
    expires_at: float
    tier: str | None = None
    token_mark: str = _NONE

    @classmethod
    def of(cls, principal: Principal) -> Self:
        """The bearer of a user's token."""
        return cls("user", principal.tenant, principal.owner, principal.scopes, principal.expires_at, principal.tier)

    @classmethod
    def agent(cls, tenant: str, agent_id: str, token: str) -> Self:
        """An outside agent that came with this token, which is its present one."""
        ends = time.time() + _LINE_LASTS
        return cls("agent", tenant, agent_id, frozenset(), ends, token_mark=mark_of(token))

    @property
    def principal(self) -> Principal:
        """As the handlers of HTTP know a caller."""
        return Principal(self.tenant, self.name, self.scopes, self.expires_at, self.tier)

    @property
    def user_name(self) -> str:
        """What nats-server is told to call this connection; it repeats that with each request (`from_headers`).

        Ids, scopes and tiers of ours hold no space. Scopes and tiers of others mean nothing here and are left out. An
        agent has no scopes: in their place stands the mark of its token.
        """
        scopes = ",".join(sorted(self.scopes & {READ, WRITE, TENANT, ADMIN})) or _NONE
        tier = self.tier if self.tier in TIERS else _NONE
        last = scopes if self.kind == "user" else self.token_mark
        return " ".join((self.kind, self.tenant, self.name, str(int(self.expires_at)), tier, last))

    @classmethod
    def from_headers(cls, headers: dict[str, str] | None) -> Self:
        """Who sent a request through NATS. Raises UnauthorizedError.

        nats-server itself writes the header when a request passes from the outsiders' account into ours (NATS ADR-3,
        `share`); what a client wrote there is taken away by it or by our client (`producers.client`).
        """
        try:
            user = orjson.loads((headers or {})[_INFO])["user"]
            kind, tenant, name, expires_at, tier, last = user.split(" ")
            if kind == "agent":
                return cls("agent", tenant, name, frozenset(), float(expires_at), token_mark=last)
            if kind != "user":
                raise UnauthorizedError
            granted = frozenset(last.split(",")) - {_NONE}
            given = None if tier == _NONE else tier
            return cls("user", tenant, name, granted, float(expires_at), given)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnauthorizedError from error
