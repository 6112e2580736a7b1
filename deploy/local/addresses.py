"""Where the parts of a stack are, and how the roles are told."""

from collections.abc import Mapping
from dataclasses import dataclass

from deploy.local.ports import LOOPBACK


@dataclass(frozen=True)
class Addresses:
    """URLs with their passwords, and the secret that signs tokens."""

    gateway_port: int
    nats_url: str
    database_url: str
    redis_url: str
    jwt_secret: str

    @property
    def gateway_url(self) -> str:
        """Where HTTP clients go."""
        return f"http://{LOOPBACK}:{self.gateway_port}"

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """What a role's process finds in its environment."""
        return {
            **inherited,
            "NATS_URL": self.nats_url,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "GANGLION_JWT_SECRET": self.jwt_secret,
            "GANGLION_HOST": LOOPBACK,
            "GANGLION_PORT": str(self.gateway_port),
            "PYTHONUNBUFFERED": "1",
        }
