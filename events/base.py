"""The envelope: CloudEvents 1.0 attributes around one payload class per event.

A payload class declares its aggregate and name; importing `events` fills the catalogue. Consumers return
payloads, `Event.caused` stamps them: derived id, correlation, causation, hops and trace come by themselves.
"""

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, SerializeAsAny, StringConstraints

from events import trace
from events.ids import Name, derived_text, new_id

TYPE_PREFIX = "io.ganglion"
MAX_HOPS = 32

CATALOGUE: dict[str, type["EventData"]] = {}
"""Every known CloudEvents type and its payload class."""

JsonObject = dict[str, JsonValue]

# Attributes become headers, keys and index entries: bounded, and without control characters (CloudEvents 1.0, 3.1).
Attribute = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]


class EventData(BaseModel):
    """What one event says. Subclasses name their aggregate and event: `class TaskReady(…, name="ready")`."""

    model_config = ConfigDict(frozen=True)

    aggregate: ClassVar[str] = ""
    event_name: ClassVar[str] = ""
    event_type: ClassVar[str] = ""
    subject_names: ClassVar[tuple[str, ...]] = ()
    """Its names in a subject: the event's, and those of kinds of it that are not for everybody who reads it."""
    subject_root: ClassVar[str] = "bus"
    """The first token of the subject: the stream that keeps this event (DESIGN 3)."""
    is_state: ClassVar[bool] = False
    """Whether it announces a state that an aggregate's one writer has committed: nobody else may publish it."""

    def __init_subclass__(
        cls, *, aggregate: str | None = None, name: str | None = None, kinds: tuple[str, ...] = ()
    ) -> None:
        super().__init_subclass__()
        if aggregate is not None:
            cls.aggregate = aggregate
        if name is not None:
            cls.event_name = name
            cls.subject_names = (name, *kinds)
            cls.event_type = f"{TYPE_PREFIX}.{cls.aggregate}.{name}.v1"
            CATALOGUE[cls.event_type] = cls

    @property
    def subject_id(self) -> str:
        """The id of the aggregate that the event is about (the CloudEvents `subject`)."""
        raise AssertionError("each aggregate's base class names its id")

    @property
    def subject_name(self) -> str:
        """Which of the `subject_names` it is published under."""
        return self.event_name


class About(NamedTuple):
    """Whom an event concerns, where that is not simply whom its cause concerned."""

    owner: str
    session_id: str | None
    task_id: UUID | None


D_co = TypeVar("D_co", bound=EventData, covariant=True)


class Event(BaseModel, Generic[D_co]):
    """One CloudEvent: context attributes, Ganglion's extensions (DESIGN 3) and the payload.

    Unknown extension attributes are kept as they came. Immutable. `quotasessions` and `quotatokens` are what the tenant
    of a request may use, as the gateway knew it then.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, str | int | bool]

    specversion: Literal["1.0"]
    id: Attribute
    source: Attribute
    type: str
    subject: Attribute | None = None
    time: AwareDatetime | None = None
    datacontenttype: str = "application/json"
    tenantid: Name
    ownerid: Name
    sessionid: Name | None = None
    taskid: UUID | None = None
    correlationid: Attribute
    causationid: Attribute | None = None
    hopcount: Annotated[int, Field(ge=0, lt=2**31)] = 0
    traceparent: Attribute | None = None
    aggregateversion: int | None = None
    resendof: Attribute | None = None
    quotasessions: int | None = None
    quotatokens: int | None = None
    data: SerializeAsAny[D_co]

    @staticmethod
    def first(
        data: EventData,
        *,
        source: str,
        tenant: str,
        owner: str,
        task_id: UUID | None = None,
        session_id: str | None = None,
        event_id: UUID | None = None,
        traceparent: str | None = None,
        time: datetime | None = None,
    ) -> "Event[EventData]":
        """An event that nothing on the bus caused: it starts a correlation of its own."""
        chosen = str(event_id or new_id())
        return Event(
            specversion="1.0",
            id=chosen,
            source=source,
            type=data.event_type,
            subject=data.subject_id,
            time=time or datetime.now(UTC),
            tenantid=tenant,
            ownerid=owner,
            sessionid=session_id,
            taskid=task_id,
            correlationid=chosen,
            traceparent=traceparent or trace.start(),
            data=data,
        )

    def caused(
        self,
        data: EventData,
        *,
        source: str,
        index: int | str = 0,
        seed: str | None = None,
        time: datetime | None = None,
        version: int | None = None,
        about: About | None = None,
    ) -> "Event[EventData]":
        """Stamp `data` as an effect of this event, concerning the same owner, session and task unless `about` says.

        The id is derived from this event's id (or from `seed`, an execution id, where the work is not a
        function of its input), the source, the event's name and `index`: a repeat publishes the same id.
        """
        chosen = derived_text(seed or self.id, source, data.event_name, index)
        owner, session_id, task_id = about or (self.ownerid, self.sessionid, self.taskid)
        return _of_checked_parts(
            specversion="1.0",
            id=chosen,
            source=source,
            type=data.event_type,
            subject=data.subject_id,
            time=time or datetime.now(UTC),
            datacontenttype="application/json",
            tenantid=self.tenantid,
            ownerid=owner,
            sessionid=session_id,
            taskid=task_id,
            correlationid=self.correlationid,
            causationid=self.id,
            hopcount=self.hopcount + 1,
            traceparent=trace.child(self.traceparent, chosen),
            aggregateversion=version,
            resendof=None,
            quotasessions=None,
            quotatokens=None,
            data=data,
        )


def _of_checked_parts(**values: object) -> Event[EventData]:
    """An event whose every field is named and comes from a checked event or is made here.

    `model_construct` without its loop over the fields, which cost more than the validation it leaves out: half of
    what it takes to stamp an event, and a task has eight stamps. A test compares the result with a validated one.
    """
    event = Event.__new__(Event)
    object.__setattr__(event, "__dict__", values)
    object.__setattr__(event, "__pydantic_fields_set__", set(values))
    object.__setattr__(event, "__pydantic_extra__", {})
    object.__setattr__(event, "__pydantic_private__", None)
    return event
