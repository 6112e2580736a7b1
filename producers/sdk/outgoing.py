"""What a producer sends, and the receipt it gets."""

from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict

from events.base import TYPE_PREFIX, JsonObject

SUBMITTED = f"{TYPE_PREFIX}.task.submitted.v1"
SOURCE = "/sdk"


class Receipt(BaseModel):
    """An event is kept: `durability` says how well, `outcome` what was made of it (None: not known yet).

    `replayed`: the same event (source and id) had been sent before, and this is what was answered then.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    event_id: str
    type: str
    subject: str | None = None
    outcome: str | None = None
    durability: str
    cursor: str | None = None
    task_id: UUID | None = None
    replayed: bool = False


class Task(BaseModel):
    """A task that was asked for."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    receipt: Receipt

    @property
    def room(self) -> str:
        """Where it is watched."""
        return f"task:{self.id}"


def cloud_event(
    event_type: str,
    data: JsonObject,
    *,
    event_id: str | None = None,
    source: str = SOURCE,
    session: str | None = None,
    traceparent: str | None = None,
) -> JsonObject:
    """An event in structured mode. `task.control` is short for `io.ganglion.task.control.v1`.

    Without an `event_id` one is drawn; give your own to make a repeat after a crash harmless.
    """
    full = event_type if event_type.startswith(f"{TYPE_PREFIX}.") else f"{TYPE_PREFIX}.{event_type}.v1"
    event: JsonObject = {
        "specversion": "1.0",
        "id": event_id or str(uuid4()),
        "source": source,
        "type": full,
        "datacontenttype": "application/json",
        "data": data,
    }
    if session is not None:
        event["sessionid"] = session
    if traceparent is not None:
        event["traceparent"] = traceparent
    return event
