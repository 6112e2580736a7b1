"""Where the spec engine is and how long it may take."""

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class EngineSettings(BaseSettings):
    """`SPEC_ENGINE_URL`, `SPEC_ENGINE_PREFIX` (`/deepagents-runtime` for that one), `SPEC_ENGINE_TOKEN` (may be empty).

    Times are in seconds (requirements 001.3). `stall`: a run that shows nothing new for so long while the engine
    answers is given up. `settle`: how long an end that the engine's state does not confirm must stand.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="SPEC_ENGINE_", hide_input_in_errors=True)

    url: str = "http://127.0.0.1:8085"
    prefix: str = "/spec-engine"
    token: SecretStr = SecretStr("")
    invoke_timeout: float = Field(default=30.0, gt=0)
    state_timeout: float = Field(default=10.0, gt=0)
    cleanup_timeout: float = Field(default=10.0, gt=0)
    tries: int = Field(default=3, ge=1)
    longest_pause: float = Field(default=5.0, gt=0)
    breaker_pause: float = Field(default=60.0, gt=0)
    poll: float = Field(default=2.0, gt=0)
    stall: float = Field(default=120.0, gt=0)
    settle: float = Field(default=10.0, gt=0)

    @field_validator("url")
    @classmethod
    def _http(cls, url: str) -> str:
        """`http://host:port` or `https://…`."""
        if not url.startswith(("http://", "https://")):
            raise ValueError("begins with http:// or https://")
        return url.rstrip("/")

    @field_validator("prefix")
    @classmethod
    def _rooted(cls, prefix: str) -> str:
        """`/name`, or empty for none."""
        bare = prefix.strip("/")
        return f"/{bare}" if bare else ""

    @property
    def stream_url(self) -> str:
        """Where sockets go."""
        return f"ws{self.url.removeprefix('http')}{self.prefix}/stream"

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        token = self.token.get_secret_value()
        return {"Authorization": f"Bearer {token}"} if token else {}
