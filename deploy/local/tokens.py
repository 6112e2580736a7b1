"""Development tokens: HS256 JWTs that the local gateway accepts."""

import time
from collections.abc import Sequence

import jwt

ISSUER = "ganglion"
AUDIENCE = "ganglion"
DAY = 86_400.0
DEVELOPER_SCOPES = ("tasks:write", "tasks:read", "admin")
SCOPES = (
    "tasks:read",
    "tasks:write",
    "agents:write",
    "admin",
)  # all that the gateway asks for; admin includes the others


def mint(secret: str, *, owner: str, tenant: str, scopes: Sequence[str] = DEVELOPER_SCOPES, ttl: float = DAY) -> str:
    """A signed token for `owner` in `tenant`, valid from now for `ttl` seconds (RFC 7519; scope as RFC 8693)."""
    now = int(time.time())
    claims = {
        "sub": owner,
        "tenant": tenant,
        "scope": " ".join(scopes),
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + int(ttl),
    }
    return jwt.encode(claims, secret, algorithm="HS256")
