"""How outside agents are called."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class PushSettings(BaseSettings):
    """`GANGLION_PUSH_CONNECT_TIMEOUT`, `GANGLION_PUSH_TRIES`, `GANGLION_PUSH_LONGEST_PAUSE` (requirements 002.3, EAP:
    30 s, three tries, 1 to 10 s between them); `GANGLION_PUSH_CA`: a PEM file of authorities that are trusted besides.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="GANGLION_PUSH_", hide_input_in_errors=True)

    connect_timeout: float = Field(default=30.0, gt=0)
    tries: int = Field(default=3, ge=1, le=10)
    longest_pause: float = Field(default=10.0, gt=0)
    ca: Path | None = None
