"""`python -m gateway`: serve until SIGTERM."""

import gc
import logging
import sys

import prometheus_client
import structlog

from gateway.app import GatewaySettings, create_gateway
from gateway.server import server_for


def main() -> None:
    """Run one gateway process with the settings of the environment."""
    _configure_logs()
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
    settings = GatewaySettings.from_environment()
    gateway = create_gateway(settings)
    # What exists now lives as long as the process: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    server_for(gateway, settings.http).run()


def _configure_logs() -> None:
    """One line of JSON per event on stderr; for a person at a terminal, columns."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *_renderers(person=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _renderers(*, person: bool) -> list[structlog.typing.Processor]:
    """Tracebacks never show local variables: they hold tokens and what users wrote."""
    if person:
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    without_locals = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20)
    return [structlog.processors.ExceptionRenderer(without_locals), structlog.processors.JSONRenderer()]


if __name__ == "__main__":
    main()
