"""Where the gateway is, and with which token we speak to it."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from cli.errors import CommandError
from deploy.local.lock import is_alive
from deploy.local.runtime import Runtime, read_runtime


class ClientSettings(BaseSettings):
    """`GANGLION_URL` and `GANGLION_TOKEN`, each else taken from `$GANGLION_HOME/runtime.json` (`.ganglion`)."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="GANGLION_")

    url: str | None = None
    token: SecretStr | None = None
    home: Path = Path(".ganglion")


@dataclass(frozen=True, slots=True)
class Place:
    """A gateway and the token to use there."""

    url: str
    token: str

    @property
    def socket_url(self) -> str:
        """The gateway's WebSocket."""
        return f"ws{self.url.removeprefix('http')}/ws"

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.token}"}


def place(settings: ClientSettings) -> Place:
    """The gateway to talk to. Raises CommandError when the environment and the state folder name none, or wrongly."""
    local = _running(settings)
    url = settings.url or (local.gateway_url if local else None)
    token = settings.token.get_secret_value() if settings.token else (local.token if local else None)
    if url is None:
        raise CommandError(f"no stack runs in {settings.home}: start one with `ganglion up`, or set GANGLION_URL")
    if token is None:
        raise CommandError("no token: set GANGLION_TOKEN")
    if not url.startswith(("http://", "https://")):
        raise CommandError(f"GANGLION_URL must begin with http:// or https://, not {url!r}")
    if not (token.isascii() and token.isprintable()) or " " in token:
        # Said here: what sends it says so with the token in the message, and a socket would try for ever.
        raise CommandError("GANGLION_TOKEN holds what no token can: blanks, line ends or letters beyond ASCII")
    return Place(url.rstrip("/"), token)


def _running(settings: ClientSettings) -> Runtime | None:
    """What the local stack says of itself; a killed one says where it was, and nobody would answer there."""
    found = read_runtime(settings.home)
    return found if found and (settings.url or is_alive(found.supervisor)) else None


def runtime(settings: ClientSettings) -> Runtime:
    """What the local stack says of itself. Raises CommandError when none runs."""
    found = read_runtime(settings.home)
    if found is None:
        raise CommandError(f"no stack runs in {settings.home}: start one with `ganglion up`")
    return found
