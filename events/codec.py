"""CloudEvents on NATS: structured mode written; structured and binary mode read (NATS binding 1.0.2).

Headers are what nats-py hands over (`dict[str, str] | None`). Only decoding judges an event: bad bytes raise
InvalidEventError, a type that is not in the catalogue raises UnknownEventTypeError.
"""

from collections.abc import Mapping
from functools import cache, partial
from urllib.parse import unquote_to_bytes

from pydantic import ValidationError
from pydantic_core import from_json

from events.base import CATALOGUE, Event, EventData
from events.errors import InvalidEventError, UnknownEventTypeError

CONTENT_TYPE = "content-type"
STRUCTURED = "application/cloudevents+json"
MSG_ID = "Nats-Msg-Id"
_BINARY_PREFIX = "ce-"
_VERSION = "ce-specversion"
_TYPE = b'"type":"'


@cache
def _model_of(payload: type[EventData]) -> type[Event[EventData]]:
    return Event[payload]  # type: ignore[valid-type]  # pydantic makes the class at run time


_MODELS = {name.encode(): partial(_model_of, payload) for name, payload in CATALOGUE.items()}


def encode(event: Event[EventData]) -> bytes:
    """The event as structured-mode JSON; absent attributes are left out.

    Raises InvalidEventError if a text cannot be UTF-8 (a lone surrogate).
    """
    try:
        return event.__pydantic_serializer__.to_json(event, exclude_none=True)
    except (ValueError, UnicodeError) as error:
        raise InvalidEventError("the event holds text that is not valid Unicode") from error


def headers_for(event: Event[EventData]) -> dict[str, str]:
    """The NATS headers of a structured-mode publish; the id lets JetStream drop a quick repeat."""
    return {CONTENT_TYPE: STRUCTURED, MSG_ID: event.id}


def is_structured(headers: Mapping[str, str] | None) -> bool:
    """Whether a message with these headers holds a structured-mode event: it says so, or has no ce- headers."""
    if not headers or headers.get(CONTENT_TYPE) == STRUCTURED:
        return True
    names = {name.lower(): value for name, value in headers.items()}
    return names.get(CONTENT_TYPE, "").lower().startswith("application/cloudevents") or _VERSION not in names


def decode(body: bytes, headers: Mapping[str, str] | None = None) -> Event[EventData]:
    """Read one event in either mode. Raises InvalidEventError or UnknownEventTypeError."""
    if headers is None or is_structured(headers):
        return decode_structured(body)
    return _decode_binary(body, lowered(headers))


def decode_structured(body: bytes) -> Event[EventData]:
    """Read one event from structured-mode JSON: in one pass if its type is where one expects it, else in two."""
    start = body.find(_TYPE) + len(_TYPE)
    model = _MODELS.get(body[start : body.find(b'"', start)])
    if model is not None and b"NaN" not in body and b"Infinity" not in body:  # no JSON, though pydantic reads them
        try:
            event = model().model_validate_json(body)
        except ValidationError:
            return _decode_in_steps(body)
        if event.type == event.data.event_type:
            return event
    return _decode_in_steps(body)


def _decode_in_steps(body: bytes) -> Event[EventData]:
    """Parse, look the type up, validate: for what was not written by us, and to say what is wrong."""
    try:
        attributes = from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        raise InvalidEventError("the body is not valid JSON") from error
    if not isinstance(attributes, dict):
        raise InvalidEventError("the body is not a JSON object")
    return _build(attributes)


def attributes_in(headers: Mapping[str, str]) -> dict[str, object]:
    """The attributes in the headers of a binary-mode message, whose names are lower case; raises InvalidEventError."""
    return {
        name.removeprefix(_BINARY_PREFIX): _percent_decoded(value)
        for name, value in headers.items()
        if name.startswith(_BINARY_PREFIX)
    }


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers by lower-case name, as they are compared; raises InvalidEventError if two become one."""
    found = {name.lower(): value for name, value in headers.items()}
    if len(found) != len(headers):
        raise InvalidEventError("two headers differ only in case")
    return found


def _decode_binary(body: bytes, headers: Mapping[str, str]) -> Event[EventData]:
    attributes = attributes_in(headers)
    try:
        attributes["data"] = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidEventError("the data is not valid JSON") from error
    return _build(attributes)


def _percent_decoded(value: str) -> str:
    """Attribute values are percent-encoded UTF-8 in a header (CloudEvents HTTP binding 3.1.3.2)."""
    try:
        return unquote_to_bytes(value).decode("utf-8")
    except UnicodeError as error:
        raise InvalidEventError("a ce- header is not valid UTF-8") from error


def _build(attributes: dict[str, object]) -> Event[EventData]:
    event_type = attributes.get("type")
    if not isinstance(event_type, str):
        raise InvalidEventError("type must be a text")
    payload = CATALOGUE.get(event_type)
    if payload is None:
        raise UnknownEventTypeError(f"no event of type {event_type[:128]!r} in the catalogue")
    try:
        attributes["data"] = payload.model_validate(attributes.get("data"))
        return Event.model_validate(attributes)
    except ValidationError as error:
        raise InvalidEventError(_first_fault(error)) from error


def _first_fault(error: ValidationError) -> str:
    """Where and what, never the offending value: it may be somebody's secret."""
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(step) for step in fault["loc"]) or "event"
    return f"{place}: {fault['msg']}"
