"""What every process of ours sets once: logs that leak nothing, and a garbage collector that knows our memory."""

import contextlib
import gc
import logging
import sys
import threading
import warnings
from types import TracebackType
from typing import Annotated, Literal, TextIO

import structlog
from pydantic import BeforeValidator
from pydantic_settings import BaseSettings, SettingsConfigDict

from events.settings import settings_explained
from events.tracebacks import SecretiveFormatter, without_texts

log = structlog.get_logger()

_LINE = "%(levelname)s %(name)s %(message)s"
_THRESHOLDS = (20_000, 20, 100)


LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"],
    BeforeValidator(lambda text: str(text).lower(), json_schema_input_type=str),
]


class LogSettings(BaseSettings):
    """`GANGLION_LOG_LEVEL`: the least that is logged, `debug`, `info`, `warning` or `error`, in capitals or not."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="GANGLION_")

    log_level: LogLevel = "info"

    @property
    def ours(self) -> int:
        """The level of our own lines, as a number."""
        return logging.getLevelNamesMapping()[self.log_level.upper()]

    @property
    def of_libraries(self) -> int:
        """That of libraries: no less than warnings, because their other lines may quote what was written."""
        return max(logging.WARNING, self.ours)


def configure_logs(*, of_an_author: bool = False) -> None:
    """One line of JSON per event on stderr, a library's too; for a person at a terminal, columns.

    What an unforeseen exception says is left out, wherever it is logged, and at the end of the process or a thread: it
    may quote a user, as may a warning. Only who runs a function that they wrote themselves (`of_an_author`) reads it.
    A level in the environment that is none ends the process with one line.
    """
    with settings_explained():
        level = LogSettings()
    stderr = sys.stderr  # as it is now: whoever replaces it later is not meant
    person = stderr.isatty()
    lines = logging.StreamHandler(stderr)
    for_a_person = (logging.Formatter if of_an_author else SecretiveFormatter)(_LINE)
    lines.setFormatter(for_a_person if person else _JsonFormatter(of_an_author=of_an_author))
    logging.basicConfig(level=level.of_libraries, handlers=[lines])
    if not of_an_author:
        sys.excepthook, threading.excepthook = _log_uncaught, _log_lost_thread
        sys.unraisablehook, warnings.showwarning = _log_unraisable, _log_warning
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *([] if of_an_author else [_without_texts]),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *_renderers(person=person),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level.ours),
        logger_factory=lambda *_: _Lines(stderr),
    )


class _Lines(structlog.PrintLogger):
    """A line that cannot be written, as on a full disk, is left out: whoever logs goes on."""

    def msg(self, message: str) -> None:
        with contextlib.suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = fatal = failure = err = error = critical = exception = msg


class _JsonFormatter(logging.Formatter):
    """What libraries log, as our own lines are: their exceptions in the line, and not behind it."""

    def __init__(self, *, of_an_author: bool) -> None:
        super().__init__()
        self._shown = (lambda record: record) if of_an_author else SecretiveFormatter.bare
        self._stamp = structlog.processors.TimeStamper(fmt="iso")
        self._exceptions, self._json = _exceptions(), structlog.processors.JSONRenderer()

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        shown = self._shown(record)
        line: structlog.typing.EventDict = {
            "event": shown.getMessage(),
            "logger": shown.name,
            "level": shown.levelname.lower(),
            "exc_info": shown.exc_info,
        }
        return str(self._json(None, "", self._exceptions(None, "", self._stamp(None, "", line))))


def _renderers(*, person: bool) -> list[structlog.typing.Processor]:
    """Tracebacks never show local variables: they hold tokens and what users wrote."""
    if person:
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [_exceptions(), structlog.processors.JSONRenderer()]


def _exceptions() -> structlog.processors.ExceptionRenderer:
    return structlog.processors.ExceptionRenderer(
        structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20)
    )


def _without_texts(_: object, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The processor: an exception gives way to its likeness without texts, whichever way it was handed over."""
    given = line.get("exc_info")
    error = given[1] if isinstance(given, tuple) else given if isinstance(given, BaseException) else sys.exc_info()[1]
    if given and isinstance(error, BaseException):
        line["exc_info"] = without_texts(error)
    return line


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("process_failed", exc_info=error)


def _log_lost_thread(lost: threading.ExceptHookArgs) -> None:
    log.error("os_thread_failed", exc_info=lost.exc_value)


def _log_unraisable(lost: "sys.UnraisableHookArgs") -> None:
    log.error("exception_ignored", exc_info=lost.exc_value)


def _log_warning(  # noqa: PLR0917 - as the interpreter calls it
    message: Warning | str,  # noqa: ARG001 - what must not be told
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001 - it goes where our lines go
    line: str | None = None,  # noqa: ARG001 - the code stands in the file
) -> None:
    """Where a warning came from: pydantic's quote the value that they are about."""
    log.warning("python_warned", category=category.__name__, file=filename, line=lineno)


def settle_memory() -> None:
    """Call when everything that lives as long as the process exists: the collector leaves it alone from then on.

    Events are acyclic and short-lived: at the default of 700 allocations a collection, walking the compiled rules
    and the modules again and again cost a fifth of the consumers' CPU under load (docs/performance.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    gc.enable()
