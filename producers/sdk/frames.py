"""What a watcher is told: events at their places, what is there instead of lost ones, and what an agent is saying."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, JsonValue

from events.base import JsonObject
from events.task import FINAL
from producers.sdk.errors import judged

_ENDINGS = frozenset(f"task.{status}" for status in FINAL)


class Happening(BaseModel):
    """One event; `event` is `task.running`, `cursor` its place in the log."""

    cursor: str
    event: str
    time: datetime
    subject: str | None = None
    data: dict[str, JsonValue] = {}

    @property
    def is_final(self) -> bool:
        """Whether a task ends with it (failed and timed_out can be left again by a retry)."""
        return self.event in _ENDINGS


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is there now, in place of events that are no longer kept."""

    cursor: str
    data: JsonValue


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of what an agent is saying; `offset` is its place in the whole, in characters.

    An agent that begins anew says everything anew, from offset 0 and under another `execution_id`.
    """

    subject: str
    offset: int
    text: str
    execution_id: str = ""


Told = Happening | Snapshot | Delta


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The room is being watched from `cursor` on."""

    cursor: str | None


@dataclass(frozen=True, slots=True)
class Ended:
    """The room's task has ended; nothing follows."""


_STATUS = {"missing_scope": 403, "invalid_cursor": 422, "invalid_request": 422}  # as HTTP answers them; else 404
Frame = Told | Subscribed | Ended


def read_frame(frame: JsonObject) -> Frame | None:
    """A frame of the gateway's (docs/subscribe.md); None for those that only keep the line alive.

    Raises RefusedError for an `error` frame, or TryAgainError if it says that the same may work later.
    """
    match frame.get("type"):
        case "event":
            return Happening.model_validate(frame)
        case "snapshot":
            return Snapshot(str(frame["cursor"]), frame.get("data"))
        case "delta":
            data = frame.get("data")
            said = data if isinstance(data, dict) else {}
            offset, text = int(str(said.get("offset") or 0)), str(said.get("text") or "")
            return Delta(str(frame.get("subject")), offset, text, str(said.get("execution_id") or ""))
        case "subscribed":
            place = frame.get("from")
            return Subscribed(str(place) if place else None)
        case "end":
            return Ended()
        case "error":
            raise judged(_STATUS.get(str(frame.get("code")), 404), frame, None)
    return None
