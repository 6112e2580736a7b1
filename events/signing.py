"""How a call to an outside agent is signed, and checked: Standard Webhooks 1.0, symmetric (`v1`).

The signature is over id, time and body, so none of them can be exchanged; who checks the time refuses old calls.
"""

import base64
import hmac
from collections.abc import Mapping, Sequence

SIGNING = "push"
"""The purpose that an agent's secret is derived for, from the tenant's key, its id and the hash of its token."""
PREFIX = "whsec_"
TOLERANCE = 300
"""Seconds that the clocks of the two may differ, and that a call may be on its way."""
_ID, _TIME, _SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


def shown(secret: bytes) -> str:
    """The secret as its owner gets to see it, once."""
    return PREFIX + base64.b64encode(secret).decode()


def signed(secrets: Sequence[bytes], message_id: str, at: int, body: bytes) -> dict[str, str]:
    """The headers of a call; a signature for each secret, so that a key can be changed while the old one is in use."""
    signatures = " ".join(_signature(secret, message_id, str(at), body) for secret in secrets)
    return {_ID: message_id, _TIME: str(at), _SIGNATURE: signatures}


def is_genuine(secret: str, headers: Mapping[str, str], body: bytes, *, now: float) -> bool:
    """Whether who has this secret (`whsec_…`) sent exactly this, within five minutes; names in lower case."""
    message_id, at, given = (headers.get(name, "") for name in (_ID, _TIME, _SIGNATURE))
    if not at.isascii() or not at.isdigit() or abs(now - int(at)) > TOLERANCE:
        return False
    expected = _signature(base64.b64decode(secret.removeprefix(PREFIX)), message_id, at, body).encode()
    return any(hmac.compare_digest(one.encode(), expected) for one in given.split(" "))


def _signature(secret: bytes, message_id: str, at: str, body: bytes) -> str:
    digest = hmac.digest(secret, f"{message_id}.{at}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"
