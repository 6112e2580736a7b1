"""Requests without a token are counted before anything is done for them; pure ASGI."""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.auth.strangers import Strangers
from gateway.errors import RateLimitedError, answer_error

PROBES = frozenset({"/livez", "/readyz", "/health", "/ready", "/metrics"})
"""Never refused: who watches a gateway may have the address of those who flood it, as behind the same router."""
_BEARER = b"bearer "


class CountStrangers:
    """Refuses a request without a token where too many came from its address. Wrong tokens are counted where they are
    looked at, and sockets where they are opened.
    """

    def __init__(self, app: ASGIApp, strangers: Strangers) -> None:
        self._app = app
        self._strangers = strangers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's contract
        if scope["type"] != "lifespan":
            self._strangers.serve(scope)
        if scope["type"] == "http" and scope["path"] not in PROBES and not _has_token(scope):
            try:
                await self._strangers.take()
            except RateLimitedError as error:
                response = await answer_error(Request(scope), error)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _has_token(scope: Scope) -> bool:
    return any(name == b"authorization" and value[:7].lower() == _BEARER for name, value in scope["headers"])
