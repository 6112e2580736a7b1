"""What gives verdicts: the built-in rules, or a service elsewhere with the built-in rules behind it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from consumers.reflex.remote import RemoteReflex
from events.errors import TransientError
from screening import Verdict
from screening.cached import CachedScreener
from screening.contract import known_types
from screening.decide import known_family
from screening.fields import bundles
from screening.judgement import judge
from screening.keyed import with_keys, without_keys
from screening.kinds import left_out
from screening.model import OTHER, Examination


class NoVerdictError(TransientError):
    """No verdict can be had now, and policy asks for one."""

    code = "screening_unavailable"


class Engine(Protocol):
    """Gives verdicts on the texts of one request."""

    async def screen(self, fields: Mapping[str, str], *, kind: str, tenant: str) -> Verdict:
        """The verdict. Raises NoVerdictError when there is none to be had and policy does not do without."""


class RemoteEngine:
    """Asks a service for what is in the texts; the policy that judges it is ours, as with the built-in rules.

    While the service is away, the policy of tenant and kind says whether tasks wait or the built-in rules answer.
    """

    def __init__(self, remote: RemoteReflex, builtin: CachedScreener) -> None:
        self._remote = remote
        self._builtin = builtin
        self._types = known_types(builtin.screener.types)

    async def screen(self, fields: Mapping[str, str], *, kind: str, tenant: str) -> Verdict:
        """The verdict, by the service or the built-in rules: `engine` says which.

        Families and types that only the service knows are called `other`: nobody counts or keeps names without a bound.
        """
        profile = self._builtin.screener.policy.profile(tenant=tenant, kind=kind)
        texts = {field: text[: profile.max_chars] for field, text in fields.items()}
        examined: dict[str, Examination] = {}
        try:
            for bundle in bundles(with_keys(texts)):
                whole = self._named(await self._remote.examine(bundle.text, tenant=tenant), left_out(profile.patterns))
                examined |= bundle.deal_out(whole)
        except TransientError as error:
            if profile.engine_down == "builtin":
                return await self._builtin.screen(fields, kind=kind, tenant=tenant)
            raise NoVerdictError(retry_after=error.retry_after) from error
        found = without_keys(texts, examined)
        digest = self._builtin.screener.digest(tenant)
        verdict = judge(fields, found, profile, self._remote.rules_version, engine=self._remote.name, digest=digest)
        # After the decision only: policy may name a family of the service's, and two families weigh more than one.
        return replace(verdict, findings=tuple(replace(f, family=known_family(f)) for f in verdict.findings))

    def _named(self, whole: Examination, unwanted: frozenset[str]) -> Examination:
        """What policy looks for. Types are what placeholders are called by, so they are bounded before all else."""
        known = self._types
        wanted = (f for f in whole.findings if f.type not in unwanted)
        return replace(whole, findings=tuple(f if f.type in known else replace(f, type=OTHER) for f in wanted))
