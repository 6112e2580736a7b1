"""What agents and the engine bring back, screened before a subscriber sees it: redacted, withheld, or noted.

Texts are treated as the policy says for kind `output`. Files are read and noted (kind `files`) and never changed: they
are addressed by their digest, and a person approves them with the findings in view.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import JsonValue

from events.run import RunEvent, RunFiles, RunFinished, RunProgress, RunToolCalled
from events.task import Finding as Note
from events.task import Sealed
from events.texts import KEY, replace_texts, texts_in
from screening.engine import Screener
from screening.fields import examine_fields
from screening.judgement import judge, treated
from screening.keyed import with_keys, without_keys
from screening.model import EVERYTHING, Checks, Examination, Finding
from screening.placeholders import Placeholders
from screening.policy import Profile
from screening.sealing import Sealer, kind_of

_MOST = 50
_CODE = "error/code"


@dataclass(frozen=True, slots=True)
class Concern:
    """What is in a fact that must be noted, or changed."""

    texts: dict[str, str]
    examined: dict[str, Examination]
    profile: Profile
    notes: tuple[Note, ...]


class Outgoing:
    """Screens facts; without a sealer, what placeholders stand for is lost."""

    def __init__(self, screener: Screener, sealer: Sealer | None = None) -> None:
        self.screener = screener
        self._sealer = sealer

    def concern(self, data: RunEvent, *, tenant: str, texts: dict[str, str] | None = None) -> Concern | None:
        """What is wrong with a fact (and its `texts_of_fact`); None, at little cost, for one with which nothing is."""
        texts = texts_of_fact(data) if texts is None else texts
        if not texts:
            return None
        kind = "files" if isinstance(data, RunFiles) else "output"
        profile = self.screener.policy.profile(tenant=tenant, kind=kind)
        checks = Checks(patterns=profile.patterns)
        examined = self._examined({at: text[: profile.max_chars] for at, text in texts.items()}, checks)
        verdict = judge(texts, examined, profile, self.screener.rules_version)
        if not verdict.findings and not verdict.truncated:
            return None
        return Concern(texts, examined, profile, notes(verdict.findings[:_MOST]))

    def _examined(self, texts: dict[str, str], checks: Checks) -> dict[str, Examination]:
        """What is in each text; what is said twice, or quotes what was harmless a moment ago, is read once."""
        familiar = self.screener.familiar
        fresh, examined, same = familiar.split(with_keys(texts))
        if fresh:
            read = examine_fields(self.screener.examine, fresh, checks)
            if checks == EVERYTHING:
                familiar.remember(fresh, read)
            examined |= read
        return without_keys(texts, examined | {field: examined[first] for field, first in same.items()})

    def settle(self, data: RunEvent, concern: Concern, names: Placeholders, *, tenant: str, session: str) -> RunEvent:
        """The fact as it may be shown, with the findings in it."""
        changes: dict[str, object] = {"findings": concern.notes}
        if not isinstance(data, RunFiles):
            digest = self.screener.digest(tenant)
            new = treated(concern.texts, concern.examined, concern.profile, names, digest)
            changes |= _changes(data, new) if new else {}
            changes["sealed"] = self.sealed(names, tenant=tenant, session=session) if new else None
        return data.model_copy(update=changes)

    def names(self, known: dict[str, str], *, tenant: str, session: str) -> Placeholders:
        """Placeholders that go on from those that the session has (names by tag)."""
        sealer = self._sealer
        if sealer is None:
            return Placeholders(known)
        return Placeholders(known, lambda kind, value: sealer.tag(tenant, session, kind, value))

    def sealed(self, names: Placeholders, *, tenant: str, session: str) -> dict[str, Sealed] | None:
        """What the placeholders stand for, encrypted; None when there is no key, or no placeholder."""
        return sealed(names.values(), self._sealer, tenant=tenant, session=session)


def sealed(
    values: dict[str, str] | None, sealer: Sealer | None, *, tenant: str, session: str
) -> dict[str, Sealed] | None:
    """Values by placeholder, encrypted for one tenant and session."""
    if not values or sealer is None:
        return None
    return {
        name: Sealed(
            tag=sealer.tag(tenant, session, kind_of(name), value),
            value=sealer.seal(tenant, session, kind_of(name), value),
        )
        for name, value in values.items()
    }


def notes(findings: Iterable[Finding]) -> tuple[Note, ...]:
    """Findings as events carry them."""
    return tuple(
        Note.model_construct(
            family=f.family,
            type=f.type,
            severity=f.severity,
            field=f.field,
            start=f.start,
            end=f.end,
            confidence=f.confidence,
        )
        for f in findings
    )


def texts_of_fact(data: RunEvent) -> dict[str, str]:
    """Every text that an agent wrote into a fact, by its place."""
    if isinstance(data, RunFiles):
        paths = {f"files/#{index}{KEY}": path for index, path in enumerate(data.files)}
        return paths | {f"files/{path}": file.content for path, file in data.files.items() if file.content}
    return {place: text for name, value in _parts(data).items() for place, text in texts_in(value, name) if text}


def _parts(data: RunEvent) -> dict[str, JsonValue]:
    parts: dict[str, JsonValue] = {}
    if isinstance(data, RunFinished):
        parts = {"output": data.output}
        if data.error is not None:
            parts |= {"error": data.error.message, _CODE: data.error.code}
    elif isinstance(data, RunToolCalled):
        parts = {"tool": data.tool, "parameters": data.parameters, "result": data.result}
    elif isinstance(data, RunProgress):
        parts = {"note": data.note, "checkpoint": data.checkpoint}
    return {name: value for name, value in parts.items() if value}


def _changes(data: RunEvent, new: dict[str, str]) -> dict[str, object]:
    changes: dict[str, object] = {
        name: replace_texts(value, name, new) for name, value in _parts(data).items() if name not in {"error", _CODE}
    }
    if isinstance(data, RunFinished) and (error := data.error) is not None:
        said = {"message": new.get("error", error.message), "code": new.get(_CODE, error.code)}
        changes["error"] = error.model_copy(update=said)
    return changes
