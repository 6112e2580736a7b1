"""`python -m gateway`: serve until SIGTERM."""

import logging
import sys

import structlog

from gateway.app import GatewaySettings, create_gateway
from gateway.server import server_for


def main() -> None:
    """Run one gateway process with the settings of the environment."""
    _configure_logs()
    settings = GatewaySettings.from_environment()
    server_for(create_gateway(settings), settings.http).run()


def _configure_logs() -> None:
    """One line of JSON per event on stderr; for a person at a terminal, columns."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    person = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *([] if person else [structlog.processors.dict_tracebacks]),
            structlog.dev.ConsoleRenderer() if person else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    main()
