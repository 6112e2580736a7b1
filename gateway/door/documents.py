"""The door's bodies and answers, for the OpenAPI document and for tests."""

from typing import Literal

from pydantic import BaseModel, Field

from gateway.http.models import Problem
from gateway.tasks.models import Links

JsonMap = dict[str, object]

_ATTRIBUTE: JsonMap = {"type": "string", "minLength": 1, "maxLength": 255}
_EVENT: JsonMap = {
    "type": "object",
    "description": "A CloudEvent 1.0; `data` fits the schema at /schemas/{type}/v1.",
    "required": ["specversion", "id", "source", "type", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {**_ATTRIBUTE, "description": "With `source`: the same event is taken once"},
        "source": _ATTRIBUTE,
        "type": {**_ATTRIBUTE, "examples": ["io.ganglion.task.submitted.v1"]},
        "datacontenttype": {"type": ["string", "null"], "pattern": "json"},
        "traceparent": {"type": ["string", "null"]},
        "data": {"type": "object"},
    },
    "examples": [
        {
            "specversion": "1.0",
            "id": "order-17",
            "source": "/shop",
            "type": "io.ganglion.task.submitted.v1",
            "data": {"spec": {"prompt": "Summarise the complaint of order 17"}},
        }
    ],
}


class Receipt(BaseModel):
    """202: the event is kept, and what the keeper made of it (null while only the log has it)."""

    event_id: str
    type: str
    subject: str | None
    outcome: str | None
    durability: Literal["memory", "log", "log+database"]
    cursor: str | None
    task_id: str | None = None
    links: Links | None = None


class BatchItem(BaseModel):
    """One event of a batch: its receipt, or the problem with it."""

    status: int
    receipt: Receipt | None = None
    problem: Problem | None = None


class BatchAnswer(BaseModel):
    """What became of each event of a batch, in its order."""

    items: list[BatchItem]


class SchemaPlace(BaseModel):
    """A type of event and where its schema is; `by` and `scope` say who may send it, if anybody may."""

    type: str
    schema_: str = Field(alias="schema")
    sent: bool
    by: Literal["user", "agent"] | None
    scope: str | None


class SchemaIndex(BaseModel):
    """Every type of event, and the schema of the attributes around each."""

    envelope: str
    items: list[SchemaPlace]


def request_bodies() -> JsonMap:
    """The three content modes."""
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/cloudevents+json": {"schema": _EVENT},
                "application/cloudevents-batch+json": {
                    "schema": {
                        "type": "array",
                        "maxItems": 100,
                        "items": {"description": "Events, each judged for itself"},
                    }
                },
                "application/json": {
                    "schema": {"type": "object", "description": "The data alone: attributes are `ce-` headers"}
                },
            },
        }
    }
