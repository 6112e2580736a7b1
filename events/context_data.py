"""The JSON in a context: its bounds, what steps make of it, how several become one, and how two differ. Pure.

A place is its keys with dots between them, so no key holds a dot. Lists are values: no place leads into one. That a
key holds null is not that it is missing.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from pydantic import JsonValue
from pydantic_core import to_json

from events.base import JsonObject
from events.context import ContextOp, MergeStrategy

MAX_BYTES = 65_536
"""Of a whole context as JSON."""
MAX_VALUES = 2_000
"""In all its objects and lists together."""
MAX_DEPTH = 16
"""Objects and lists within each other, the context itself included."""
MAX_PLACE = 512
"""Characters of a place."""
MAX_OPS = 100
"""Steps of one change."""


class NoSuchPlaceError(Exception):
    """A step leads into something that is no object."""


class Found(NamedTuple):
    """What is at a place, null too."""

    value: JsonValue


class Version(NamedTuple):
    """A context as it has been since a moment."""

    data: JsonObject
    at: datetime


class Merged(NamedTuple):
    """What several contexts become, and the places that they disagree on."""

    data: JsonObject
    conflicts: tuple[str, ...]


class Diff(NamedTuple):
    """How another context differs: what only it has, what it lacks, and both values where they are not the same."""

    added: dict[str, JsonValue]
    removed: dict[str, JsonValue]
    changed: dict[str, tuple[JsonValue, JsonValue]]

    @property
    def places(self) -> tuple[str, ...]:
        """Every place that differs, in order."""
        return tuple(sorted((*self.added, *self.removed, *self.changed)))


def fault_of(data: JsonObject) -> str | None:
    """Why this cannot be a context's data: `context_too_large`, `context_too_deep` or `unusable_key`."""
    waiting: list[tuple[JsonValue, int, int]] = [(data, 1, 0)]
    values = 0
    while waiting:
        value, depth, length = waiting.pop()
        if not isinstance(value, dict | list):
            continue
        if depth > MAX_DEPTH:
            return "context_too_deep"
        if (values := values + len(value)) > MAX_VALUES:
            return "context_too_large"
        if isinstance(value, list):
            waiting += [(item, depth + 1, length) for item in value]
            continue
        if any(not key or "." in key or length + len(key) > MAX_PLACE for key in value):
            return "unusable_key"
        waiting += [(item, depth + 1, length + len(key) + 1) for key, item in value.items()]
    return "context_too_large" if size_of(data) > MAX_BYTES else None


def size_of(data: JsonObject) -> int:
    """Bytes as JSON."""
    return len(to_json(data))


def keys_in(value: JsonValue) -> int:
    """The keys of all objects in it."""
    if isinstance(value, dict):
        return len(value) + sum(map(keys_in, value.values()))
    return sum(map(keys_in, value)) if isinstance(value, list) else 0


def find(data: JsonObject, place: str) -> Found | None:
    """What is at the place, None if nothing is."""
    at: JsonValue = data
    for key in place.split("."):
        if not isinstance(at, dict) or key not in at:
            return None
        at = at[key]
    return Found(at)


def changed_by(data: JsonObject, ops: Iterable[ContextOp]) -> JsonObject:
    """The data after these steps, in their order. Raises NoSuchPlaceError."""
    for one in ops:
        data = _stepped(data, one.path.split("."), one)
    return data


def _stepped(data: JsonObject, keys: Sequence[str], step: ContextOp) -> JsonObject:
    key, *below = keys
    if not below:
        if step.op == "set":
            return {**data, key: step.value}
        return {name: value for name, value in data.items() if name != key}
    if key not in data and step.op == "delete":
        return data
    inner = data.get(key, {})
    if not isinstance(inner, dict):
        raise NoSuchPlaceError
    return {**data, key: _stepped(inner, below, step)}


def merged(target: Version, sources: Sequence[Version], strategy: MergeStrategy) -> Merged:
    """What the target becomes by its sources. Objects are joined key by key, whatever the strategy.

    Where two disagree: `last_write_wins` takes what was written last (the target's if that is as new), `prefer_source`
    the later source's, `deep_merge`, `prefer_target` and `manual` what was there first. Only `deep_merge` joins lists,
    without repeating what is in them.
    """
    conflicts: dict[str, None] = {}
    order = [target, *sources]
    if strategy == "last_write_wins":
        order = sorted([*sources, target], key=lambda version: version.at)
    joining = _Joining(
        latest=strategy in ("last_write_wins", "prefer_source"), lists=strategy == "deep_merge", conflicts=conflicts
    )
    data = order[0].data
    for version in order[1:]:
        data = joining.join(data, version.data, "")
    return Merged(data, tuple(sorted(conflicts)))


class _Joining(NamedTuple):
    """`latest`: what comes later wins; `lists` are concatenated."""

    latest: bool
    lists: bool
    conflicts: dict[str, None]

    def join(self, first: JsonObject, later: JsonObject, place: str) -> JsonObject:
        """Both in one."""
        result = dict(first)
        for key, value in later.items():
            result[key] = self._one(first[key], value, place + key) if key in first else value
        return result

    def _one(self, first: JsonValue, later: JsonValue, place: str) -> JsonValue:
        if isinstance(first, dict) and isinstance(later, dict):
            return self.join(first, later, place + ".")
        if is_same(first, later):
            return first
        if self.lists and isinstance(first, list) and isinstance(later, list):
            return _without_repeats(first, later)
        self.conflicts[place] = None
        return later if self.latest else first


def _without_repeats(first: list[JsonValue], later: list[JsonValue]) -> list[JsonValue]:
    known = {_hashable(item) for item in first}
    result = [*first]
    for item in later:
        if (same := _hashable(item)) not in known:
            known.add(same)
            result.append(item)
    return result


def differences(one: JsonObject, other: JsonObject) -> Diff:
    """How the other differs from the one."""
    diff = Diff({}, {}, {})
    _compare(one, other, "", diff)
    return diff


def _compare(one: JsonObject, other: JsonObject, place: str, diff: Diff) -> None:
    for key, value in one.items():
        if key not in other:
            diff.removed[place + key] = value
            continue
        there = other[key]
        if isinstance(value, dict) and isinstance(there, dict):
            _compare(value, there, f"{place}{key}.", diff)
        elif not is_same(value, there):
            diff.changed[place + key] = (value, there)
    diff.added.update((place + key, value) for key, value in other.items() if key not in one)


def is_same(one: JsonValue, other: JsonValue) -> bool:
    """Whether two values are the same JSON: 1 is 1.0, and is not true."""
    if one != other:  # nearly always enough; what Python takes for the same may be a number and a truth value
        return False
    return to_json(one) == to_json(other) or _hashable(one) == _hashable(other)


def _hashable(value: JsonValue) -> tuple[object, ...]:
    if isinstance(value, dict):
        return ("object", frozenset((key, _hashable(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("list", *map(_hashable, value))
    return ("boolean" if isinstance(value, bool) else "value", value)
