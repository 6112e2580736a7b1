"""A way to Ganglion: HTTP or NATS. A transport tries once; who uses it decides about trying again."""

from collections.abc import AsyncGenerator, Callable
from typing import Protocol

from events.base import JsonObject
from producers.sdk.errors import TryAgainError
from producers.sdk.frames import Frame
from producers.sdk.outgoing import Receipt

Token = str | Callable[[], str]
"""A Ganglion token, or who gives a fresh one whenever one is needed."""


def text_of(token: Token) -> str:
    """The token to use now, without the line's end of the file that it was read from.

    Raises TryAgainError if the function that gives it fails: its issuer may be away.
    """
    if not callable(token):
        return token.strip()
    try:
        return token().strip()
    except Exception as error:  # whoever wrote it may raise anything, and what waits to be sent is to outlive it
        raise TryAgainError(f"no token: {type(error).__name__}") from error


class Transport(Protocol):
    """Both methods raise RefusedError, and TryAgainError for what may pass."""

    async def open(self) -> None:
        """Prepare; does not fail for want of a server."""

    async def close(self) -> None:
        """Let go of everything."""

    async def send(self, event: JsonObject, within: float) -> Receipt:
        """Deliver one event."""
        ...

    def frames(self, room: str, after: str | None) -> AsyncGenerator[Frame]:
        """A room's frames over one connection. It never ends by itself but with Ended or an error."""
        ...
