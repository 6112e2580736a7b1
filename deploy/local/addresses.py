"""Where the parts of a stack are, and how the roles are told."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit, urlunsplit

from deploy.local.nats import NatsSecrets
from deploy.local.ports import LOOPBACK
from producers.permissions import ADMIN, CALLOUT, GATEWAY

ENGINE_CLIENT = "spec_engine"
"""The consumer, and user of NATS, that talks to the engine."""
_SIGNS = "GANGLION_JWT_SECRET"


@dataclass(frozen=True)
class EnginePlace:
    """A spec engine: where it is, the path before its routes, and the service token that it wants (empty for none)."""

    url: str
    prefix: str
    token: str

    @property
    def environment(self) -> dict[str, str]:
        """What its clients find in their environment."""
        return {"SPEC_ENGINE_URL": self.url, "SPEC_ENGINE_PREFIX": self.prefix, "SPEC_ENGINE_TOKEN": self.token}


@dataclass(frozen=True)
class Addresses:
    """URLs with their passwords, the secret that signs tokens, and the keys that seal what placeholders stand for.

    `nats_url` is the admin's, one for each node with commas between. Without `nats_secrets` (somebody else's server)
    every role is given that URL. `metrics_port` is the consumers'; they and the gateway listen on `host`.
    """

    gateway_port: int
    nats_url: str
    database_url: str
    redis_url: str
    jwt_secret: str
    seal_keys: str = ""
    nats_secrets: NatsSecrets | None = None
    engine: EnginePlace | None = None
    metrics_port: int | None = None
    host: str = LOOPBACK

    @property
    def gateway_url(self) -> str:
        """Where HTTP clients go."""
        return f"http://{_dialled(self.host)}:{self.gateway_port}"

    @property
    def metrics_url(self) -> str | None:
        """Where the consumers serve what they count."""
        return None if self.metrics_port is None else f"http://{_dialled(self.host)}:{self.metrics_port}/metrics"

    def environment(self, inherited: Mapping[str, str], nats_users: tuple[str, ...] = ()) -> dict[str, str]:
        """What the process of a role with these users of NATS finds in its environment; without any, of all of them."""
        verifies = not nats_users or GATEWAY in nats_users
        return {
            **_without_signature(inherited),
            **({_SIGNS: self.jwt_secret} if verifies else {}),
            **self._nats(nats_users),
            **(self.engine.environment if self.engine and ENGINE_CLIENT in nats_users else {}),
            **({"GANGLION_SEAL_KEYS": self.seal_keys} if self.seal_keys and ADMIN not in nats_users else {}),
            **self._metrics(nats_users),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "GANGLION_HOST": self.host,
            "GANGLION_PORT": str(self.gateway_port),
            "PYTHONUNBUFFERED": "1",
        }

    def engine_environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """What the engine finds in its own: its place and the database; it talks to nothing else of ours."""
        assert self.engine is not None  # noqa: S101  # whoever starts an engine has chosen its place
        return {
            **_without_signature(inherited),
            "DATABASE_URL": self.database_url,
            "SPEC_ENGINE_HOST": LOOPBACK,
            "SPEC_ENGINE_PORT": str(urlsplit(self.engine.url).port),
            "SPEC_ENGINE_PREFIX": self.engine.prefix,
            "SPEC_ENGINE_TOKEN": self.engine.token,
            "PYTHONUNBUFFERED": "1",
        }

    def _metrics(self, nats_users: tuple[str, ...]) -> dict[str, str]:
        """Where consumers serve what they count; the gateway has a route for it."""
        if self.metrics_port is None or not nats_users or {ADMIN, GATEWAY} & set(nats_users):
            return {}
        return {"GANGLION_METRICS_PORT": str(self.metrics_port)}

    def _nats(self, nats_users: tuple[str, ...]) -> dict[str, str]:
        """Where NATS is, with the role's own passwords and nobody else's."""
        if self.nats_secrets is None:
            return {"NATS_URL": self.nats_url}
        given = {
            "NATS_URL": ",".join(map(_without_user, self.nats_url.split(","))),
            "NATS_PASSWORDS": json.dumps({user: self.nats_secrets.passwords[user] for user in nats_users}),
        }
        if nodes := self.nats_url.count(","):
            given["GANGLION_LOG_REPLICAS"] = str(nodes + 1)
        return given | ({"NATS_ISSUER_SEED": self.nats_secrets.issuer_seed} if CALLOUT in nats_users else {})


def _without_signature(inherited: Mapping[str, str]) -> dict[str, str]:
    """Who holds the secret can be anybody: only who verifies tokens is given it."""
    return {name: value for name, value in inherited.items() if name != _SIGNS}


def _dialled(host: str) -> str:
    """What a client on this machine puts into a URL: nobody can dial a wildcard, and IPv6 stands in brackets."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        address = ip_address("::1" if address.version == 6 else LOOPBACK)
    return f"[{address}]" if address.version == 6 else str(address)


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.hostname}:{parts.port}"))
