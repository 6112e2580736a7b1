"""What every process of ours sets once: logs that leak nothing, and a garbage collector that knows our memory."""

import gc
import logging
import sys

import structlog

_THRESHOLDS = (20_000, 20, 100)


def configure_logs() -> None:
    """One line of JSON per event on stderr; for a person at a terminal, columns."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
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


def settle_memory() -> None:
    """Call when everything that lives as long as the process exists: the collector leaves it alone from then on.

    Events are acyclic and short-lived: at the default of 700 allocations a collection, walking the compiled rules
    and the modules again and again cost a fifth of the consumers' CPU under load (docs/performance.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    gc.enable()
