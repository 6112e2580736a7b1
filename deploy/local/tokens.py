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
    "tenant",
    "admin",
)  # all that the gateway asks for; admin includes the others
ROLES = ("viewer", "member", "lead", "admin")  # what each may do: gateway/auth/roles.py


def mint(
    secret: str,
    *,
    owner: str,
    tenant: str,
    scopes: Sequence[str] = DEVELOPER_SCOPES,
    role: str | None = None,
    ttl: float = DAY,
) -> str:
    """A signed token for `owner` in `tenant`, valid from now for `ttl` seconds (RFC 7519; scope as RFC 8693).

    With a role and no scopes it may do what the role may; with both, what both allow.
    """
    now = int(time.time())
    granted = {"role": role} if role else {}
    if scopes or not role:
        granted["scope"] = " ".join(scopes)
    claims = {
        "sub": owner,
        "tenant": tenant,
        **granted,
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + int(ttl),
    }
    return jwt.encode(claims, secret, algorithm="HS256")
