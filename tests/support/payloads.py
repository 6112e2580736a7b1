"""Hypothesis strategies for every event of the catalogue, made from the classes' own fields."""

import string
import types
from datetime import UTC, datetime
from functools import cache
from typing import Literal, Union, get_args, get_origin
from uuid import UUID

from annotated_types import Ge, Le, MaxLen, MinLen
from hypothesis import strategies as st
from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo

from events.base import CATALOGUE, Event, EventData
from events.files import FilePath
from events.run import File

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
"""Any Unicode text, NUL included; a lone surrogate is no text."""
NAMES = st.text(st.sampled_from(string.ascii_letters + string.digits + "_-"), min_size=1, max_size=64)
ATTRIBUTES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=60)
INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # as asked
JSON: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
FILES = TEXT.map(lambda content: File.of("plan.md", content))
_PLAIN: dict[object, st.SearchStrategy[object]] = {
    File: FILES,
    FilePath: st.sampled_from(["plan.md", "THE_SPEC/requirements.md", "definition 2.json"]),
    bool: st.booleans(),
    datetime: INSTANTS,
    UUID: st.uuids(),
    JsonValue: JSON,
}


@cache
def payloads(payload: type[EventData]) -> st.SearchStrategy[EventData]:
    """Instances of one event class."""
    return st.builds(payload, **_fields(payload))


def events(payload: type[EventData] | None = None) -> st.SearchStrategy[Event[EventData]]:
    """Whole events, of one class or of any."""
    return _around(payloads(payload) if payload else st.sampled_from(list(CATALOGUE.values())).flatmap(payloads))


def _around(payload: st.SearchStrategy[EventData]) -> st.SearchStrategy[Event[EventData]]:
    return st.builds(
        _event,
        payload,
        specversion=st.just("1.0"),
        id=ATTRIBUTES,
        source=ATTRIBUTES,
        subject=st.none() | ATTRIBUTES,
        time=st.none() | INSTANTS,
        tenantid=NAMES,
        ownerid=NAMES,
        sessionid=st.none() | NAMES,
        taskid=st.none() | st.uuids(),
        correlationid=ATTRIBUTES,
        causationid=st.none() | ATTRIBUTES,
        hopcount=st.integers(0, 32),
        traceparent=st.none() | st.just("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        aggregateversion=st.none() | st.integers(1, 2**31),
        resendof=st.none() | ATTRIBUTES,
        partnerext=st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20),
    )


def _event(data: EventData, **attributes: object) -> Event[EventData]:
    return Event[EventData].model_validate({**attributes, "type": data.event_type, "data": data})


def _fields(model: type[BaseModel]) -> dict[str, st.SearchStrategy[object]]:
    return {name: _field(field) for name, field in model.model_fields.items()}


def _field(field: FieldInfo) -> st.SearchStrategy[object]:
    pattern = next((rule.pattern for rule in field.metadata if hasattr(rule, "pattern")), None)
    if pattern is not None:
        return st.from_regex(pattern.replace("$", r"\Z"))
    least = next((rule.min_length for rule in field.metadata if isinstance(rule, MinLen)), 0)
    most = next((rule.max_length for rule in field.metadata if isinstance(rule, MaxLen)), 20)
    if field.annotation is str:
        return st.text(st.characters(exclude_categories=["Cs"]), min_size=least, max_size=min(most, 20))
    if least:
        return _of(field.annotation).filter(bool)
    low = next((rule.ge for rule in field.metadata if isinstance(rule, Ge)), None)
    high = next((rule.le for rule in field.metadata if isinstance(rule, Le)), None)
    kind = next((one for one in (int, float) if one in (field.annotation, *get_args(field.annotation))), None)
    if kind is None or (low is None and high is None):
        return _of(field.annotation)
    numbers = _number(kind, low, high)
    return numbers if field.is_required() or field.default is not None else st.none() | numbers


def _number(kind: object, low: object, high: object) -> st.SearchStrategy[object]:
    if kind is int:
        return st.integers(low, high)  # type: ignore[arg-type]  # the annotation's own bounds
    return st.floats(low, high, allow_nan=False, allow_infinity=False)  # type: ignore[arg-type]  # as above


def _of(annotation: object) -> st.SearchStrategy[object]:  # noqa: PLR0911 - one answer a kind of type
    """Values of a type as our event classes use them."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if annotation is str:
        return TEXT
    if annotation in (int, float):
        return _number(annotation, None, None)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return st.builds(annotation, **_fields(annotation))
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return st.sampled_from(inner)
    if origin in (Union, types.UnionType):
        return st.one_of([st.none() if one is types.NoneType else _of(one) for one in inner])
    if origin is tuple:
        return st.lists(_of(inner[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(_of(inner[0]), _of(inner[1]), max_size=3)
    if hasattr(annotation, "__metadata__"):
        return NAMES
    raise TypeError(f"no values are drawn for {annotation}")
