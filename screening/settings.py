"""What screening is configured with, wherever it is done: the policy file and the keys that seal."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from threading import Lock

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from screening.engine import Screener
from screening.policy import Policy
from screening.sealing import Sealer


class ScreeningSettings(BaseSettings):
    """`GANGLION_POLICY`: a policy file instead of the shipped one. `GANGLION_SEAL_KEYS`: base64 keys of 30 bytes or
    more with commas between them, the newest first; without any, placeholders cannot be opened again.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="GANGLION_")

    policy: Path | None = None
    seal_keys: SecretStr | None = None

    def read_policy(self) -> Policy:
        """The policy alone, at little cost; raises PolicyError."""
        return Policy.load(self.policy)

    def screener(self) -> Screener:
        """The one screener of this process for this policy and these keys: compiling takes a third of a second.

        Raises PolicyError, and ValueError for a key that is too short.
        """
        with _ONE_AT_A_TIME:
            return _keyed(self.policy, self.seal_keys)

    def sealer(self) -> Sealer | None:
        """What seals placeholders; raises ValueError for a key that is too short."""
        return Sealer.of(self.seal_keys.get_secret_value()) if self.seal_keys else None


_ONE_AT_A_TIME = Lock()


@cache
def _keyed(policy: Path | None, keys: SecretStr | None) -> Screener:
    compiled = _compiled(policy)
    return compiled.with_keys_of(Sealer.of(keys.get_secret_value())) if keys else compiled


@cache
def _compiled(policy: Path | None) -> Screener:
    return Screener(Policy.load(policy))
