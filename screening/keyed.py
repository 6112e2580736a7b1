"""A value of a JSON object is read together with its key as well: `password: …` says what the value alone does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from events.texts import KEY
from screening.model import Examination, Finding
from screening.readings import DATA_FAMILIES

_TOGETHER = ":keyed"
"""No place of a text ends so: neither a word nor the path of a file has a colon."""
_BETWEEN = ": "
_TELLING = ("pass", "pwd", "secret", "key", "token", "credential", "senha", "contrase")
"""Parts of the keys that tell of a secret; of numbers and addresses the value is found with its key beside it."""
_LONGEST_KEY = 64
_SHORTEST, _LONGEST = 6, 300


def with_keys(fields: Mapping[str, str]) -> Mapping[str, str]:
    """The fields, and for each short value under a key that may tell of a secret one more with both."""
    keyed: dict[str, str] = {}
    for field, text in fields.items():
        key = fields.get(field + KEY)
        if key is not None and _SHORTEST <= len(text) <= _LONGEST and _tells(key):
            keyed[field + _TOGETHER] = key + _BETWEEN + text
    return {**fields, **keyed} if keyed else fields


def without_keys(fields: Mapping[str, str], examined: Mapping[str, Examination]) -> dict[str, Examination]:
    """What is in each of the fields that `with_keys` was given, with what its key told about it."""
    result = {field: what for field, what in examined.items() if field in fields}
    for place, what in examined.items():
        field = place.removesuffix(_TOGETHER)
        if place in fields or field not in result:
            continue
        told = [found for found in what.findings if found.family in DATA_FAMILIES]
        shift = len(fields[field + KEY]) + len(_BETWEEN)
        result[field] = _more(result[field], [_moved(found, shift) for found in told if found.end > shift])
    return result


def _tells(key: str) -> bool:
    lowered = key.lower()
    return len(key) <= _LONGEST_KEY and any(part in lowered for part in _TELLING)


def _moved(found: Finding, shift: int) -> Finding:
    return replace(found, start=max(0, found.start - shift), end=found.end - shift)


def _more(what: Examination, told: list[Finding]) -> Examination:
    """What was found without the key goes first: the other is what nothing else was made of."""
    data = [found for found in what.findings if found.family in DATA_FAMILIES]
    new = [one for one in told if not any(one.start < other.end and other.start < one.end for other in data)]
    return replace(what, findings=(*what.findings, *new)) if new else what
