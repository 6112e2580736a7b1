"""The service token: who may use the engine's routes."""

from hmac import compare_digest

from starlette.requests import HTTPConnection

from engine.errors import UnauthorizedError


def check_token(connection: HTTPConnection, token: str) -> None:
    """Raise UnauthorizedError unless the request carries `Authorization: Bearer <token>`."""
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not compare_digest(given.strip().encode(), token.encode()):
        raise UnauthorizedError
