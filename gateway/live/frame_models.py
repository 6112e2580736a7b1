"""The frames of `/ws` as models: what docs/subscribe.md shows, /asyncapi.json describes and a test holds us to."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

CURSOR = r"^(0|[0-9a-z]{1,24}-[0-9]{1,18})$"

Id = Annotated[str, Field(min_length=1, max_length=128, description="Chosen by the client, one per subscription")]
Place = Annotated[str, Field(pattern=CURSOR, description="A place in the log: what to pass as `after`")]


class _Frame(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AuthFrame(_Frame):
    """First frame of a client that could not send a header, or a new token of the same caller at any time."""

    type: Literal["auth"]
    token: Annotated[str, Field(min_length=1, max_length=8_192)]


class SubscribeFrame(_Frame):
    """Into a room: from `after` on (`"0"`: all that is kept), or from now. `deltas: false` leaves the words out."""

    type: Literal["subscribe"]
    id: Id
    room: Annotated[str, Field(min_length=1, max_length=128, examples=["task:ID", "session:ID", "tasks"])]
    after: Place | None = None
    deltas: bool = True


class UnsubscribeFrame(_Frame):
    """Out of it."""

    type: Literal["unsubscribe"]
    id: Id


class PingFrame(_Frame):
    """Is anybody there? The server asks every 20 s; an answer is welcome and not needed."""

    type: Literal["ping"]


class PongFrame(_Frame):
    """Yes."""

    type: Literal["pong"]


class HelloFrame(_Frame):
    """The caller was let in."""

    type: Literal["hello"]
    protocol: Literal["ganglion.v1"]
    server: str


class SubscribedFrame(_Frame):
    """Events after `from` follow. `recovered`: `after` was given and nothing since then is missing."""

    type: Literal["subscribed"]
    id: Id
    from_: Annotated[Place, Field(alias="from")]
    recovered: bool


class DeltaFrame(_Frame):
    """What an agent says while it says it. No cursor: who comes back hears it again from offset 0.

    `offset` counts characters (Unicode code points) of one execution; a jump is a hole, and the whole text is in
    `run.finished`.
    """

    type: Literal["delta"]
    id: Id
    event: Literal["run.delta"]
    subject: Annotated[str, Field(description="The run's id")]
    data: "Words"


class Words(BaseModel):
    """A piece of what one execution says."""

    run_id: str
    task_id: str
    attempt: int
    execution_id: str
    agent_id: str
    offset: Annotated[int, Field(ge=0)]
    text: str


class GapFrame(_Frame):
    """Events between these places may be missing, for good; a snapshot follows."""

    type: Literal["gap"]
    id: Id
    from_: Annotated[Place, Field(alias="from")]
    to: Place


class SnapshotFrame(_Frame):
    """The body of the room's GET at `cursor`; events after it follow. Null for a room without a body."""

    type: Literal["snapshot"]
    id: Id
    cursor: Place
    data: JsonValue


class EndFrame(_Frame):
    """The room's task has ended. The subscription stays: an explicit retry would go on in it."""

    type: Literal["end"]
    id: Id


class ErrorFrame(_Frame):
    """The subscription was refused or has ended. `retryable`: the same may work later."""

    type: Literal["error"]
    id: Id
    code: str
    detail: str
    retryable: bool


class DrainFrame(_Frame):
    """The gateway stops: the socket closes 1012 next. Come back with `after`."""

    type: Literal["drain"]
    detail: str


FROM_CLIENT: tuple[type[BaseModel], ...] = (AuthFrame, SubscribeFrame, UnsubscribeFrame, PingFrame, PongFrame)
FROM_SERVER: tuple[type[BaseModel], ...] = (
    HelloFrame,
    SubscribedFrame,
    DeltaFrame,
    GapFrame,
    SnapshotFrame,
    EndFrame,
    ErrorFrame,
    PingFrame,
    PongFrame,
    DrainFrame,
)
