"""Spans for a collector, by OpenTelemetry: off, and none of its libraries imported, unless a setting names one.

A span is about a call between services: its name, its trace, how long it took, whether it went well, and the kind of
error. No text of a user is in it.
"""

import atexit
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Self

from pydantic_settings import BaseSettings, SettingsConfigDict

from events import trace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

Side = Literal["client", "server"]

_CLOSE_WITHIN = 2.0
_ONCE_IN = 60.0


class SpanSettings(BaseSettings):
    """`OTEL_EXPORTER_OTLP_ENDPOINT`: the collector's URL (OTLP over HTTP); its library reads the rest itself."""

    model_config = SettingsConfigDict(frozen=True)

    otel_exporter_otlp_endpoint: str = ""


class _Seldom(logging.Filter):
    """Lets one line a minute through: while a collector is away its exporter writes four for every batch."""

    def __init__(self) -> None:
        super().__init__()
        self._said = float("-inf")

    def filter(self, _: logging.LogRecord) -> bool:
        """Whether a minute is over."""
        now = time.monotonic()
        if now - self._said < _ONCE_IN:
            return False
        self._said = now
        return True


class Spans:
    """The spans of one service. What cannot be delivered is dropped: at most 2,048 wait, and no call waits for them."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._provider = provider
        self._closing = threading.Event()
        self._tracer = None if provider is None else provider.get_tracer("ganglion")

    @classmethod
    def of_service(cls, name: str, settings: SpanSettings) -> Self:
        """Sent every few seconds and at the process's end, or nowhere."""
        if not settings.otel_exporter_otlp_endpoint:
            return cls()
        # Imported here: they take a quarter of a second, and only this branch needs them.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - as above
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above

        exporters = logging.getLogger(OTLPSpanExporter.__module__)
        if not any(isinstance(one, _Seldom) for one in exporters.filters):
            exporters.addFilter(_Seldom())
        provider = TracerProvider(resource=Resource.create({"service.name": name}), shutdown_on_exit=False)
        place = f"{settings.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces"
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(place)))
        spans = cls(provider)
        atexit.register(spans.close)
        return spans

    def close(self) -> None:
        """Send what waits, within two seconds; the end of Python does so too, the end by a signal does not."""
        if self._provider is None or self._closing.is_set():
            return
        self._closing.set()
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)  # a collector that is away takes longer
        ending.start()
        ending.join(_CLOSE_WITHIN)

    @contextmanager
    def calling(self, name: str, traceparent: str | None) -> Iterator[str | None]:
        """A call to another service; gives the traceparent that it carries."""
        if self._tracer is None:
            yield trace.call(traceparent)
            return
        with _span(self._tracer, "client", name, traceparent) as own:
            yield own

    @contextmanager
    def serving(self, name: str, traceparent: str | None) -> Iterator[str | None]:
        """A call that is answered here; gives the traceparent of what it leads to."""
        if self._tracer is None:
            yield trace.parse(traceparent)
            return
        with _span(self._tracer, "server", name, traceparent) as own:
            yield own


@contextmanager
def _span(tracer: "Tracer", side: Side, name: str, traceparent: str | None) -> Iterator[str]:
    from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415 - only who has a tracer has the library too
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - as above

    parent = TraceContextTextMapPropagator().extract({"traceparent": traceparent} if traceparent else {})
    span = tracer.start_span(name, parent, SpanKind.CLIENT if side == "client" else SpanKind.SERVER)
    place = span.get_span_context()
    try:
        yield f"00-{place.trace_id:032x}-{place.span_id:016x}-{int(place.trace_flags):02x}"
    except Exception as error:
        span.set_status(StatusCode.ERROR, type(error).__name__)  # the class, not its text: that may quote a user
        raise
    finally:
        span.end()
