"""The `ganglion` command begins here: nothing is read yet that takes long enough to be interrupted in."""

import os
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from types import FrameType

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit; Ctrl-C ends it with 130 and says nothing, from the first moment on."""
    with _quietly():
        # Imported here: it is most of what a short command does, and a person may have thought better of it.
        from cli.command import run  # noqa: PLC0415 - as above
    try:
        run(arguments)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


@contextmanager
def _quietly() -> Generator[None]:
    """SIGINT ends the process at once: raised in the middle of an import it may come out as any other error."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # nohup, or the program that calls us, wants something else
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
