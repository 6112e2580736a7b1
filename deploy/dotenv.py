"""The secrets of a deployment, drawn anew: `python -m deploy.dotenv > .env` before `docker compose up`."""

import secrets
import string

from deploy.nats_conf import variable
from producers.nkeys import AccountKey
from producers.permissions import users

_LENGTH = 40
_OTHERS = ("POSTGRES_PASSWORD", "VALKEY_PASSWORD", "GANGLION_JWT_SECRET", "GANGLION_SEAL_KEYS", "SPEC_ENGINE_TOKEN")


def dotenv() -> str:
    """One `NAME=value` a line. Letters and digits, a letter first: they stand in URLs and configurations."""
    issuer = AccountKey.draw()
    drawn = {name: _draw() for name in (*map(variable, users()), *_OTHERS)}
    lines = {**drawn, "NATS_ISSUER": issuer.public, "NATS_ISSUER_SEED": issuer.seed}
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def _draw() -> str:
    rest = string.ascii_letters + string.digits
    return secrets.choice(string.ascii_letters) + "".join(secrets.choice(rest) for _ in range(_LENGTH - 1))


if __name__ == "__main__":
    print(dotenv(), end="")
