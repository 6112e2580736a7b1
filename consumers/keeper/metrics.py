"""What a keeper counts, for Prometheus."""

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

from events.base import EventData
from events.task import TaskEntered

LEADING = Gauge("ganglion_keeper_leading", "1 while this keeper leads, 0 while it stands by.")
FOLDED = Counter("ganglion_keeper_events_total", "Events folded and committed.")
COMMIT_SECONDS = Histogram(
    "ganglion_keeper_commit_seconds",
    "Time that the write of one batch took.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)
OUTBOX = Gauge("ganglion_keeper_outbox", "State events that are committed and not read back from the log yet.")
RESENT = Counter("ganglion_keeper_resent_total", "Events sent again by the sweep: none, unless the log was lost.")
STATUSES = Counter("orchestrator_task_status_total", "Statuses that tasks entered, by status.", ["status"])


def count_statuses(announced: Iterable[EventData]) -> None:
    """Count what was committed: each status that a task entered, under the name that /submit's document has for it."""
    for status, times in Tally(data.status for data in announced if isinstance(data, TaskEntered)).items():
        STATUSES.labels(status).inc(times)
