"""What the processes of ours would write to stderr, kept for a test to read."""

import io
import logging
import sys
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager

import structlog

from events.process import configure_logs


class _Screen(io.StringIO):
    """A stderr that is a terminal, or none."""

    def __init__(self, *, person: bool) -> None:
        super().__init__()
        self._person = person

    def isatty(self) -> bool:
        return self._person


@contextmanager
def logged(*, person: bool = False, of_an_author: bool = False) -> Generator[io.StringIO]:
    """Logs as `configure_logs` sets them up for a process, with this for its stderr; afterwards all is as before."""
    root, screen = logging.getLogger(), _Screen(person=person)
    before, hooks = structlog.get_config(), (sys.excepthook, threading.excepthook, sys.unraisablehook)
    warn = warnings.showwarning
    handlers, stderr, level = root.handlers[:], sys.stderr, root.level
    sys.stderr, root.handlers[:] = screen, []
    try:
        configure_logs(**({"of_an_author": True} if of_an_author else {}))
        yield screen
    finally:
        sys.stderr, root.handlers[:] = stderr, handlers
        root.setLevel(level)
        sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
        warnings.showwarning = warn
        structlog.configure(**before)
