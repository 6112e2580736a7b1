"""A request's trail: its id and its trace, from the first byte to every event and line of log it causes."""

import re
import secrets
from dataclasses import dataclass

from starlette.types import Scope

from events import trace

TEMPLATE = "ganglion.template"
"""Where a plain handler leaves its route's path in the scope: FastAPI's router notes only its own routes."""

_KEY = "ganglion.trail"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}\Z")


@dataclass(frozen=True, slots=True)
class Trail:
    """The X-Request-Id (the client's if it is harmless) and the W3C traceparent (the client's if it is valid)."""

    request_id: str
    traceparent: str

    @property
    def trace_id(self) -> str:
        """The 32 hex digits that name the trace."""
        return self.traceparent[3:35]

    @classmethod
    def start(cls, scope: Scope) -> "Trail":
        """Read or draw the trail of a request and keep it in its scope."""
        request_id = traceparent = None
        for name, value in scope["headers"]:
            if name == b"x-request-id" and _REQUEST_ID.match(value):
                request_id = value.decode()
            elif name == b"traceparent":
                traceparent = trace.parse(value.decode("latin-1"))
        trail = cls(request_id or secrets.token_hex(16), traceparent or trace.start())
        scope[_KEY] = trail
        return trail

    @staticmethod
    def of(scope: Scope) -> "Trail":
        """The trail that `start` kept."""
        trail = scope[_KEY]
        assert isinstance(trail, Trail)  # noqa: S101 - the edge starts a trail before anything else runs
        return trail
