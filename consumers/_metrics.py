"""`GET /metrics`: what the consumers of one process count, for Prometheus, on a port of its own without a token."""

from collections.abc import Iterator
from contextlib import contextmanager

import prometheus_client
import structlog
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

log = structlog.get_logger()


class MetricsSettings(BaseSettings):
    """`GANGLION_METRICS_PORT`: where to serve (0: any free port); absent, nothing is served. `GANGLION_HOST`: on which
    address.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="GANGLION_")

    host: str = "127.0.0.1"
    metrics_port: int | None = Field(default=None, ge=0, le=65_535)


class MetricsPortError(Exception):
    """Somebody else listens where the metrics are to be served."""


@contextmanager
def served(settings: MetricsSettings) -> Iterator[str | None]:
    """Serve until the block ends; gives the URL, or None when nothing is served. Raises MetricsPortError.

    The library's server has a thread of its own: a scrape is answered while the event loop has work.
    """
    if settings.metrics_port is None:
        yield None
        return
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
    try:
        server, thread = prometheus_client.start_http_server(settings.metrics_port, settings.host)
    except OSError as error:
        raise MetricsPortError(f"{settings.host}:{settings.metrics_port} (GANGLION_METRICS_PORT): {error}") from error
    url = f"http://{settings.host}:{server.server_port}/metrics"
    log.info("metrics_served", url=url)
    try:
        yield url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
