"""What every process of ours sets once: logs that leak nothing, and a garbage collector that knows our memory."""

import gc
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

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


@contextmanager
def settings_explained() -> Iterator[None]:
    """Ends the process with one line when settings are wrong: which variable and why, without a value or traceback."""
    try:
        yield
    except ValidationError as error:
        kind = next((kind for kind in BaseSettings.__subclasses__() if kind.__name__ == error.title), None)
        if kind is None:
            raise
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        prefix = kind.model_config.get("env_prefix", "")
        raise SystemExit("; ".join(f"{_variable(fault['loc'], prefix)}: {fault['msg']}" for fault in faults)) from None
    except SettingsError as error:
        raise SystemExit(str(error)) from None


def _variable(place: tuple[int | str, ...], prefix: str) -> str:
    """The variable of a setting: an alias as it is, else the class's prefix and the field's name."""
    if not place:
        return "settings"
    name = str(place[0])
    return name if name.isupper() else f"{prefix}{name}".upper()


def settle_memory() -> None:
    """Call when everything that lives as long as the process exists: the collector leaves it alone from then on.

    Events are acyclic and short-lived: at the default of 700 allocations a collection, walking the compiled rules
    and the modules again and again cost a fifth of the consumers' CPU under load (docs/performance.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    gc.enable()
