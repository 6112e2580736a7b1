"""How a call to an outside agent is signed: Standard Webhooks 1.0, symmetric (`v1`); docs/agents.md checks it.

The signature is over id, time and body, so none of them can be exchanged; who checks the time refuses old calls.
"""

import base64
import hmac
from collections.abc import Sequence

SIGNING = "push"
"""The purpose that an agent's secret is derived for, from the tenant's key, its id and the hash of its token."""
PREFIX = "whsec_"
_ID, _TIME, _SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


def shown(secret: bytes) -> str:
    """The secret as its owner gets to see it, once."""
    return PREFIX + base64.b64encode(secret).decode()


def signed(secrets: Sequence[bytes], message_id: str, at: int, body: bytes) -> dict[str, str]:
    """The headers of a call; a signature for each secret, so that a key can be changed while the old one is in use."""
    signatures = " ".join(_signature(secret, message_id, str(at), body) for secret in secrets)
    return {_ID: message_id, _TIME: str(at), _SIGNATURE: signatures}


def _signature(secret: bytes, message_id: str, at: str, body: bytes) -> str:
    digest = hmac.digest(secret, f"{message_id}.{at}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"
