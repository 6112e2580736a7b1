"""Quotas of tenants, from a file of one's own (requirements 002.1, 3.3.TEN); without it there are none."""

from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from yaml import YAMLError

from events.ids import Name
from screening.documents import parsed, said_twice


class QuotaFileError(ValueError):
    """The quota file cannot be read, or says what no quota can be."""


class Quota(BaseModel):
    """What one tenant may use; null: as much as it likes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    concurrent_sessions: Annotated[int, Field(ge=0, lt=2**31)] | None = Field(
        default=None, description="Sessions that have begun and not ended"
    )
    tokens_per_month: Annotated[int, Field(ge=0, lt=2**53)] | None = Field(
        default=None, description="Tokens of all runs that end in a month, in UTC"
    )


NO_QUOTA = Quota()


class QuotaFile(BaseModel):
    """The quotas of tenants by name, and of all others (`default`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    default: Quota = NO_QUOTA
    tenants: dict[Name, Quota] = Field(default_factory=dict)

    def of(self, tenant: str) -> Quota:
        """The tenant's own quota, whole, or that of all others."""
        return self.tenants.get(tenant, self.default)


class QuotaSettings(BaseSettings):
    """`GANGLION_QUOTAS`: a file of quotas; without it tenants have none."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="GANGLION_")

    quotas: Path | None = None

    def read(self) -> QuotaFile:
        """The quotas, read once a process. Raises QuotaFileError."""
        return QuotaFile() if self.quotas is None else _read(self.quotas)


@cache
def _read(path: Path) -> QuotaFile:
    try:
        raw = path.read_text(encoding="utf-8")
        if (twice := said_twice(raw)) is not None:
            raise QuotaFileError(f"{path}: {twice}")
        return QuotaFile.model_validate(parsed(raw) or {})
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise QuotaFileError(f"{path}: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise QuotaFileError(f"{path}: {faults}") from error
