"""What the gateway counts, for Prometheus; each application has a registry of its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from gateway.reflex_metrics import PATHS, ReflexMetrics

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_MAX_SERIES = 2_000


class Metrics:
    """The gateway's instruments; labels are routes, methods, statuses and priorities, never ids."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._submitted = Counter(
            "orchestrator_tasks_submitted_total", "Tasks accepted", ["priority"], registry=self.registry
        )
        self._duration = Histogram(
            "orchestrator_http_request_duration_seconds",
            "Time to answer, by route template",
            ["method", "endpoint", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.accepted = Counter(
            "gateway_accepted_total",
            "Events accepted, by what the answer promises",
            ["durability"],
            registry=self.registry,
        )
        self.shed = Counter(
            "gateway_shed_total", "Requests refused because the keeper lags or the log is full", registry=self.registry
        )
        self.rate_limited = Counter(
            "gateway_rate_limited_total", "Requests refused because of their number", ["tier"], registry=self.registry
        )
        self.sockets = Gauge("gateway_ws_connections", "Open WebSockets", registry=self.registry)
        self.subscriptions = Gauge("gateway_subscriptions", "Live subscriptions", registry=self.registry)
        self.delivered = Counter(
            "gateway_events_delivered_total", "Events queued to subscribers", registry=self.registry
        )
        self.slow_readers = Counter(
            "gateway_slow_readers_total", "Sockets and streams closed 4408", registry=self.registry
        )
        self.keeper_lag = Gauge(
            "gateway_keeper_lag_seconds", "Age of the oldest uncommitted event", registry=self.registry
        )
        self.hub_seq = Gauge("gateway_hub_seq", "The last sequence the hub has read", registry=self.registry)
        self.committed_seq = Gauge(
            "gateway_committed_seq", "The last sequence announced as committed", registry=self.registry
        )
        self.reflex = ReflexMetrics(self.registry)
        self._durations: dict[tuple[str, str, int], Histogram] = {}
        self._priorities: dict[str, Counter] = {}

    def observe(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        """One answered request."""
        if endpoint in PATHS:
            self.reflex.requested(_known(method), endpoint, seconds)
        key = (_known(method), endpoint, status)
        series = self._durations.get(key)
        if series is None:
            if len(self._durations) >= _MAX_SERIES:
                return
            series = self._durations[key] = self._duration.labels(*map(str, key))
        series.observe(seconds)

    def submitted(self, priority: str) -> None:
        """One task accepted."""
        series = self._priorities.get(priority)
        if series is None:
            series = self._priorities[priority] = self._submitted.labels(priority)
        series.inc()

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)


def _known(method: str) -> str:
    """A client may send any word as a method; only the standard ones become a label."""
    return method if method in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"} else "other"
