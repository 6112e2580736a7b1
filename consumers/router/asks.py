"""What a ready task asks of the live state: a slot, or a place in the queue of its equals."""

from collections.abc import Sequence

from consumers.router.scoring import Needs
from events.base import Event, EventData
from events.codec import encode
from events.task import Priority, TaskReady
from storage.live.store import APART, Ask
from storage.live.view import member_of

_PRIORITIES: dict[Priority | None, int] = {"critical": 0, "high": 1, "normal": 2, None: 2, "low": 3, "background": 4}


def needs_of(ready: Event[EventData], data: TaskReady) -> Needs:
    """What the task needs."""
    return Needs.of(ready.tenantid, data.kind, data.required_capabilities, data.routing)


def ask_for(
    ready: Event[EventData],
    data: TaskReady,
    order: Sequence[str],
    *,
    cause: str,
    again: bool = False,
    sure: bool = False,
    why: str = "",
    is_open: bool = False,
) -> Ask:
    """The ask for one task; `sure` leaves the event out, which is needed only if it must wait."""
    needs = needs_of(ready, data)
    since = ready.time.timestamp() * 1000 if ready.time is not None else 0.0
    return Ask(
        member=member_of(data.task_id, data.attempt),
        tenant=needs.tenant,
        queue=needs.queue,
        score=_PRIORITIES[data.priority] * APART + since,
        order=order,
        cause=cause,
        body=b"" if sure else encode(ready),
        again=again,
        why=why,
        is_open=is_open,
        version=data.version,
    )
