"""A collector of spans: OTLP over HTTP, kept in a list."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from events.spans import Spans, SpanSettings


@dataclass(frozen=True)
class Received:
    """A span as it came; ids in hex."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    failed: str
    """The kind of error, or nothing."""


class Collector:
    """Where it listens, and what it was sent."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.spans: list[Received] = []
        self.bodies: list[bytes] = []

    def of_service(self, name: str) -> Spans:
        """Spans that come here."""
        return Spans.of_service(name, SpanSettings(otel_exporter_otlp_endpoint=self.url))

    def take(self, body: bytes) -> None:
        """One request."""
        self.bodies.append(body)
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = {one.key: one.value.string_value for one in of_resource.resource.attributes}["service.name"]
            for span in (span for scope in of_resource.scope_spans for span in scope.spans):
                ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                self.spans.append(Received(service, span.name, *ids, span.status.message))


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector in a thread of its own, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(server.server_address[1])
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield collector
        finally:
            server.shutdown()
            serving.join()
