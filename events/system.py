"""System events: how Ganglion itself fares. They belong to the tenant and the owner `SYSTEM`, and admins see them."""

from typing import Literal

from pydantic import Field

from events.base import EventData

SYSTEM = "system"

Wellbeing = Literal["up", "degraded", "down"]


class SystemEvent(EventData, aggregate="system"):
    """Something about a part of Ganglion (`nats`, `postgres`, `keeper`, `log`, …)."""

    component: str = Field(min_length=1, max_length=64)
    detail: str | None = None

    @property
    def subject_id(self) -> str:
        """The component."""
        return self.component


class SystemHealth(SystemEvent, name="health"):
    """A component is seen in another state than before, by `seen_by`."""

    state: Wellbeing
    seen_by: str


class SystemAlert(SystemEvent, name="alert"):
    """Something happened that a person should know of."""

    code: str
