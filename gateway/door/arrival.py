"""An event as it arrives: CloudEvents 1.0 attributes from outside, of which we believe what is the sender's to say."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self
from uuid import UUID

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError

from events import trace
from events.base import Attribute, JsonObject
from events.errors import InvalidEventError
from events.ids import Name, derived_id
from gateway.auth.sender import Sender
from gateway.errors import Fault, InvalidBodyError, faults_of
from gateway.http.bodies import parse_json

DIGEST = "producerdigest"
OURS = frozenset(
    (
        *("tenantid", "ownerid", "taskid", "correlationid", "causationid", "hopcount", "aggregateversion", "resendof"),
        *("quotasessions", "quotatokens"),
        *("producersource", "producerid", DIGEST),
    )
)
"""Extension attributes that the gateway stamps: what a sender says there is not believed, and left out."""

_KNOWN = {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data"}
_EXTENSION = re.compile(r"[a-z0-9]{1,20}\Z")
_MAX_EXTENSIONS = 16
_JSON = re.compile(r"(?i)application/([\w.-]+\+)?json\s*(;|\Z)")

Extension = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")] | bool | int


class Attributes(BaseModel):
    """The context attributes of an event from outside (CloudEvents 1.0, section 3), and its data."""

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"]
    id: Attribute
    source: Attribute
    type: Attribute
    subject: Attribute | None = None
    time: AwareDatetime | None = None
    datacontenttype: Attribute | None = None
    dataschema: Attribute | None = None
    sessionid: Name | None = None
    traceparent: str | None = None
    extensions: Annotated[dict[str, Extension], Field(max_length=_MAX_EXTENSIONS)]
    data: JsonObject


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event from outside and the ids that follow from who sent it and what they called it.

    The same sender, source and id are the same event, whenever and however often it is sent (CloudEvents 1.0, 3.1.1).
    `fingerprint` tells whether it also says the same.
    """

    sender: Sender
    attributes: Attributes
    subject_id: UUID
    fingerprint: str
    traceparent: str

    @property
    def event_id(self) -> UUID:
        """The id it has on the bus."""
        return derived_id(self.subject_id, "event")

    @property
    def stamps(self) -> dict[str, str | int | bool]:
        """What the event on the bus carries besides our own attributes."""
        said = self.attributes
        return {
            **said.extensions,
            "producersource": said.source,
            "producerid": said.id,
            DIGEST: self.fingerprint,
        }

    @classmethod
    def read(cls, sender: Sender, given: Mapping[str, object], traceparent: str | None = None) -> Self:
        """The event with these attributes and `data`; `traceparent` is the transport's, for an event without.

        Raises InvalidBodyError, which names attributes and never repeats values.
        """
        named = {name: value for name, value in given.items() if name not in _KNOWN | {"sessionid", "traceparent"}}
        extensions = {name: value for name, value in named.items() if value is not None}  # null is as good as absent
        if wrong := [name for name in extensions if not _EXTENSION.match(name)]:
            fault = Fault(
                field=str(wrong[0])[:64], message="an attribute's name is 1 to 20 lower-case letters and digits"
            )
            raise InvalidBodyError([fault])
        kept = {name: value for name, value in extensions.items() if name not in OURS}
        said = {**given, "extensions": kept}
        try:
            attributes = Attributes.model_validate(said)
        except ValidationError as error:
            raise InvalidBodyError(faults_of(error, said)) from error
        _must_be_json(attributes.datacontenttype)
        scope = [sender.tenant, sender.kind, sender.name, "event", attributes.source, attributes.id]
        means = [attributes.type, attributes.sessionid, attributes.data]
        digest = hashlib.sha256(orjson.dumps(means, option=orjson.OPT_SORT_KEYS)).hexdigest()
        parent = trace.parse(attributes.traceparent) or trace.parse(traceparent) or trace.start()
        return cls(sender, attributes, derived_id(json.dumps(scope)), digest, parent)


def structured(body: bytes) -> dict[str, object]:
    """The attributes of an event in structured mode. Raises what `parse_json` raises, and InvalidEventError."""
    return attributes_of(parse_json(body))


def attributes_of(value: object) -> dict[str, object]:
    """A JSON value as an event's attributes. Raises InvalidEventError."""
    if not isinstance(value, dict):
        raise InvalidEventError("an event is a JSON object")
    if "data_base64" in value:
        raise InvalidEventError("data_base64 is not taken: data is JSON")
    return value


def data_of(body: bytes) -> JsonValue:
    """The data of an event in binary mode; no body is no data."""
    value: JsonValue = parse_json(body) if body else None  # type: ignore[assignment]  # parsed JSON
    return value


def _must_be_json(content_type: str | None) -> None:
    if content_type is not None and not _JSON.match(content_type):
        raise InvalidBodyError([Fault(field="datacontenttype", message="must be application/json")])
