"""Rules as data: the YAML files of screening/rules, read and checked into frozen records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib import resources

from pydantic import BaseModel, ConfigDict, Field

from screening.documents import parsed
from screening.model import Severity


class Examples(BaseModel):
    """Texts on which a rule proves itself at start."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: tuple[str, ...] = Field(min_length=1)
    no_match: tuple[str, ...] = ()


class Rule(BaseModel):
    """One thing to look for.

    `gate` is a cheap pattern (or the name of a shared one) that must be in the text before `pattern` is tried; by
    default the pattern itself; `also` is a second one that must be near it. `validator` names a function of
    screening/validators. `cue` is a pattern of words that make the match believable when they stand within `window`
    characters: with `cue_required` nothing is found without one, else confidence moves from `confidence` to `cued`;
    `not_cue` rejects a match that is part of one of its own, or data that it stands before. `at_least` is how often the
    pattern must match before it counts; a `bounded` match has no word character next to it, and no colon with more of
    an address behind it; within a `nested`
    one that the validator refuses another may begin; after `tries` candidates the rule gives up and says so.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    family: str
    type: str
    severity: Severity
    pattern: str
    source: str
    examples: Examples
    gate: str | None = None
    also: str | None = None
    validator: str | None = None
    cue: str | None = None
    cue_required: bool = False
    not_cue: str | None = None
    window: int = 48
    at_least: int = 1
    bounded: bool = False
    nested: bool = False
    tries: int = 3000
    confidence: float = 0.8
    cued: float = 0.95
    score: float = 0.0


class RuleFile(BaseModel):
    """One YAML file: shared gates and cues by name, then rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gates: dict[str, str] = {}
    words: dict[str, str] = {}
    rules: tuple[Rule, ...]


def _files() -> Iterator[tuple[str, bytes]]:
    folder = resources.files("screening") / "rules"
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".yaml"):
            yield entry.name, entry.read_bytes()


def _expanded(file: RuleFile) -> Iterator[Rule]:
    """Rules with `<name>` replaced by the file's words, and the gate's name by its pattern."""
    for rule in file.rules:
        changes: dict[str, str | None] = {
            "gate": file.gates.get(rule.gate or "", rule.gate),
            "also": file.gates.get(rule.also or "", rule.also),
        }
        for name in ("pattern", "gate", "also", "cue", "not_cue"):
            text = changes.get(name) or getattr(rule, name)
            if text:
                for word, alternatives in file.words.items():
                    text = text.replace(f"<{word}>", f"(?:{alternatives})")
                changes[name] = text
        yield rule.model_copy(update=changes)


def load() -> tuple[tuple[Rule, ...], str]:
    """All rules, and the version that names exactly these bytes (12 hex digits of SHA-256)."""
    digest = hashlib.sha256()
    rules: list[Rule] = []
    for name, raw in _files():
        digest.update(name.encode() + b"\0" + raw)
        rules.extend(_expanded(RuleFile.model_validate(parsed(raw))))
    return tuple(rules), digest.hexdigest()[:12]
