"""What is counted of POST /process, under the thirteen names of the reflex service that it answers for (000.2)."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram

from screening.contract import ProcessAnswer
from screening.model import Checks

PATHS = frozenset({"/process", "/health", "/ready", "/metrics"})
"""The routes of the reflex service: requests for them are counted under its names as well."""

Dimension = Literal["ip", "user"]

_MODE = "all"
"""The one way to look for injections: there are no sets of patterns of them to choose from."""
_READING = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5)
_ASKING = (0.00001, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25)


class ReflexMetrics:
    """The instruments. Labels are methods, routes, and words of ours: never anything that somebody has sent."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"reflex_{name}_total", about, labels, registry=registry)

        def histogram(name: str, about: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"reflex_{name}_seconds", about, labels, buckets=buckets, registry=registry)

        self._requests = counter("http_requests", "Requests for /process, /health, /ready, /metrics", "method", "path")
        self._request_seconds = histogram("http_request_duration", "Time to answer those requests", _READING)
        self._pii = counter("pii_detections", "Personal data and secrets found", "pii_type")
        self._pii_seconds = histogram(
            "pii_detection_duration",
            "Time to read a text for personal data",
            _READING,
            "pattern_set",
        )
        self._injections = counter("injection_detections", "Injections found", "severity")
        self._injection_seconds = histogram(
            "injection_detection_duration", "Time to read a text for injections", _READING,
            "detection_mode",
        )  # fmt: skip
        self._hits = counter("cache_hits", "Texts known")
        self._misses = counter("cache_misses", "Texts read")
        self._cache_seconds = histogram("cache_operation_duration", "Time that the cache took", _ASKING, "operation")
        self._allowed = counter("rate_limit_allowed", "Requests let in")
        self._rejected = counter("rate_limit_rejected", "Requests refused because of their number", "dimension")
        self._limit_seconds = histogram("rate_limit_duration", "Time to ask for a token", _ASKING, "dimension")
        self._blocked = counter("requests_blocked", "Texts that policy blocks")
        self._seconds = histogram("processing", "Time to look at one text, the cache included", _READING)

    def requested(self, method: str, path: str, seconds: float) -> None:
        """A request for one of `PATHS` was answered."""
        self._requests.labels(method, path).inc()
        self._request_seconds.observe(seconds)

    def read(self, checks: Checks, seconds: float) -> None:
        """A text was read: one pass looks for all that is asked for, so its time is that of either."""
        if checks.data:
            self._pii_seconds.labels(checks.patterns).observe(seconds)
        if checks.injections:
            self._injection_seconds.labels(_MODE).observe(seconds)

    def answered(self, said: ProcessAnswer, seconds: float) -> None:
        """One answer was given."""
        self._seconds.observe(seconds)
        (self._hits if said.cache_hit else self._misses).inc()
        for data in said.pii_matches:
            self._pii.labels(data.pii_type).inc()
        for hit in said.injection_matches:
            self._injections.labels(hit.severity).inc()
        if said.status == "blocked":
            self._blocked.inc()

    def allowed(self) -> None:
        """A request for /process was let in."""
        self._allowed.inc()

    def rejected(self, dimension: Dimension) -> None:
        """A request was refused because of its number."""
        self._rejected.labels(dimension).inc()

    @contextmanager
    def limiting(self, dimension: Dimension) -> Iterator[None]:
        """The block asks for a token."""
        began = perf_counter()
        yield
        self._limit_seconds.labels(dimension).observe(perf_counter() - began)

    @contextmanager
    def caching(self, operation: Literal["get", "set"]) -> Iterator[None]:
        """The block asks or tells the cache."""
        began = perf_counter()
        yield
        self._cache_seconds.labels(operation).observe(perf_counter() - began)
