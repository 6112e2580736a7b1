"""What a keeper counts, for Prometheus."""

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

from consumers.keeper.state import TaskState
from events.base import EventData
from events.task import FINAL, TaskEntered

LEADING = Gauge("ganglion_keeper_leading", "1 while this keeper leads, 0 while it stands by.")
FOLDED = Counter("ganglion_keeper_events_total", "Events folded and committed.")
COMMIT_SECONDS = Histogram(
    "ganglion_keeper_commit_seconds",
    "Time that the write of one batch took.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)
OUTBOX = Gauge("ganglion_keeper_outbox", "State events that are committed and not read back from the log yet.")
RESENT = Counter("ganglion_keeper_resent_total", "Events sent again by the sweep: none, unless the log was lost.")
PROCESSING = Histogram(
    "orchestrator_task_processing_seconds",
    "Time from the request for a task to its end, as `processing_time_ms` has it.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0, 300.0, 1_800.0, 3_600.0),
)
STATUSES = Counter("orchestrator_task_status_total", "Statuses that tasks entered, by status.", ["status"])


def count_statuses(announced: Iterable[EventData], tasks: Iterable[TaskState]) -> None:
    """Count what was committed, under the names that /submit's document has: each status that a task entered, and how
    long those `tasks` took that have ended.

    One that is announced again, since what the task waits for is another, was entered before.
    """
    entered = [data for data in announced if isinstance(data, TaskEntered) and data.status != data.from_status]
    for status, times in Tally(data.status for data in entered).items():
        STATUSES.labels(status).inc(times)
    ended = {data.task_id for data in entered if data.status in FINAL}
    for task in tasks if ended else ():
        if task.id in ended and task.finished_at is not None:
            PROCESSING.observe(max(0.0, (task.finished_at - task.created_at).total_seconds()))
