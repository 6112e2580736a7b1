"""What a keeper counts, for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

LEADING = Gauge("ganglion_keeper_leading", "1 while this keeper leads, 0 while it stands by.")
FOLDED = Counter("ganglion_keeper_events_total", "Events folded and committed.")
COMMIT_SECONDS = Histogram(
    "ganglion_keeper_commit_seconds",
    "Time that the write of one batch took.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)
OUTBOX = Gauge("ganglion_keeper_outbox", "State events that are committed and not read back from the log yet.")
RESENT = Counter("ganglion_keeper_resent_total", "Events sent again by the sweep: none, unless the log was lost.")
