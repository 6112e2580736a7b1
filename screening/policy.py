"""The policy: per tenant and task kind, what is done about what is found; a file with a schema."""

from __future__ import annotations

from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from yaml import YAMLError

from screening.documents import parsed, said_twice
from screening.kinds import SECRETS, DataType, PatternSet
from screening.model import SEVERITIES, Severity

Action = Literal["block", "redact", "flag"]
Strategy = Literal["token", "mask", "hash", "partial", "remove"]

KINDS = ("goal", "subtask", "turn", "refinement", "upload", "output", "files")
"""What texts are for: tasks of four kinds, other commands, and what agents bring back."""
Whose = Annotated[str, StringConstraints(pattern=rf"^(\*|[A-Za-z0-9_-]{{1,64}})/(\*|{'|'.join(KINDS)})$")]
"""`tenant/kind`, with `*` for any."""
_TOLD = 3
"""Faults of a file that are named."""


class PolicyError(ValueError):
    """The policy file cannot be used; one line says which it is, what is wrong, and where."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SeverityActions(_Part):
    """What a finding of each severity leads to; `flag` notes it and lets the text pass."""

    critical: Action = "block"
    high: Action = "block"
    medium: Action = "flag"
    low: Action = "flag"

    def of(self, severity: Severity) -> Action:
        """The action for one severity."""
        action: Action = getattr(self, severity)
        return action


class Redaction(_Part):
    """What stands where data was redacted; `types` says it for single types, `strategy` for all others.

    `token`: a placeholder that lasts a session and can be opened again. `mask`: asterisks. `hash`: the same for equal
    values of a tenant, under a key of its own. `partial`: the end of a number, the domain of an address, asterisks for
    what has no such part. `remove`: nothing.
    """

    strategy: Strategy = "token"
    types: dict[DataType, Strategy] = {}

    def model_post_init(self, _context: object, /) -> None:
        """No part of a secret is shown."""
        if open_secrets := sorted(kind for kind, how in self.types.items() if how == "partial" and kind in SECRETS):
            raise ValueError(f"no part of a secret may be shown: {', '.join(open_secrets)}")

    def of(self, kind: str) -> Strategy:
        """The strategy for one type; a type may be none of ours."""
        found: Strategy | None = cast("dict[str, Strategy]", self.types).get(kind)
        return found or self.strategy


class InjectionPolicy(_Part):
    """Thresholds of the decision on instructions that are not the user's to give.

    `block_families` block at High alone; other families need Critical, or two of them at High.
    """

    action: Literal["block", "flag"] = "block"
    flag_score: float = Field(0.5, ge=0, le=1)
    block_score: float = Field(0.99, ge=0, le=1)
    block_families: tuple[str, ...] = ("delimiter", "template", "command", "exfiltration")

    def model_post_init(self, _context: object, /) -> None:
        """What blocks is flagged."""
        if self.flag_score > self.block_score:
            raise ValueError("flag_score is above block_score")


class Profile(_Part):
    """One complete set of answers; `audit` records what it would have done and lets everything pass.

    `engine_down` is for a service at REFLEX_URL that gives no verdict: tasks wait for it, or the built-in rules answer.
    """

    audit: bool = False
    engine_down: Literal["wait", "builtin"] = "wait"
    pii: SeverityActions = SeverityActions()
    secrets: SeverityActions = SeverityActions()
    injection: InjectionPolicy = InjectionPolicy()
    redaction: Redaction = Redaction()
    patterns: PatternSet = "relaxed"
    max_findings: int = Field(200, ge=1, le=1000)
    max_chars: int = Field(1_000_000, ge=1000)

    @property
    def acts_on_data(self) -> bool:
        """Whether personal data or secrets of any severity are more than noted."""
        return any(part.of(severity) != "flag" for part in (self.pii, self.secrets) for severity in SEVERITIES)


class Policy(_Part):
    """Profiles by name, and which one a tenant and task kind get.

    Looked up as `tenant/kind`, `tenant/*`, `*/kind`, `*/*`; the file without `assign` puts everyone on `default`.
    """

    version: Literal[1] = 1
    profiles: dict[str, Profile]
    assign: dict[Whose, str] = Field({"*/*": "default"}, json_schema_extra={"additionalProperties": False})

    def model_post_init(self, _context: object, /) -> None:
        """Every assignment names a profile that exists, and everyone has one."""
        unknown = set(self.assign.values()) - set(self.profiles)
        if unknown:
            raise ValueError(f"assign names unknown profiles: {sorted(unknown)}")
        if "*/*" not in self.assign:
            raise ValueError("assign has no '*/*': some tasks would have no policy")

    @cached_property
    def _order(self) -> dict[str, Profile]:
        return {key: self.profiles[name] for key, name in self.assign.items()}

    def profile(self, *, tenant: str, kind: str) -> Profile:
        """The profile that applies, the most specific first."""
        for key in (f"{tenant}/{kind}", f"{tenant}/*", f"*/{kind}"):
            found = self._order.get(key)
            if found is not None:
                return found
        return self._order["*/*"]

    @classmethod
    def load(cls, path: Path | None = None) -> Policy:
        """Read a policy file (YAML); without a path, the one shipped with the package.

        Raises PolicyError for a file that cannot be read or breaks the schema (screening/policy.schema.json).
        """
        if path is None:
            return cls.model_validate(parsed((resources.files("screening") / "policy.yaml").read_text()))
        try:
            raw = path.read_text()
            if twice := said_twice(raw):
                raise PolicyError(f"{path} is no policy: {twice}")
            return cls.model_validate(parsed(raw))
        except ValidationError as error:
            raise PolicyError(f"{path} is no policy: {_faults(error)}") from None
        except OSError as error:
            raise PolicyError(f"{path} cannot be read: {error.strerror}") from None
        except (UnicodeDecodeError, YAMLError) as error:
            raise PolicyError(f"{path} cannot be read: {' '.join(str(error).split())}") from None


def _faults(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}" for fault in faults[:_TOLD])
