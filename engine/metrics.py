"""What the engine counts; no label holds an id."""

from prometheus_client import Counter, Gauge, Histogram

RUNNING = Gauge("ganglion_engine_threads_running", "Threads that work or wait for their turn.")
ENDED = Counter("ganglion_engine_threads_ended_total", "Threads that ended, by status.", ["status"])
SOCKETS = Gauge("ganglion_engine_streams_open", "Open stream sockets.")
REQUESTS = Histogram(
    "ganglion_engine_request_seconds",
    "Requests by route and status.",
    ["route", "status"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0),
)
