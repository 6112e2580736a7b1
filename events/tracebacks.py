"""Tracebacks that a log may hold: an exception's message often quotes what a user wrote.

The messages of our own errors and of the operating system say nothing of the kind and are kept. Of all others the
class stays, with file, line and function.
"""

import logging
from collections.abc import Sequence

from events.errors import GanglionError

_MOST = 100


def text_of(error: BaseException) -> str:
    """What a log may say of an exception beside its class: empty unless the error is ours or the system's."""
    if isinstance(error, GanglionError):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        return f"[Errno {error.errno}] {error.strerror}"
    return ""


def without_texts(error: BaseException) -> BaseException:
    """A likeness of an exception to print: the same classes, frames, causes and groups, and the texts of `text_of`."""
    return _likeness(error, {})


class SecretiveFormatter(logging.Formatter):
    """For what libraries log: their exceptions without messages, wherever in a line they stand."""

    def format(self, record: logging.LogRecord) -> str:
        """The line as a formatter makes it of a record that quotes no exception."""
        return super().format(self.bare(record))

    @staticmethod
    def bare(record: logging.LogRecord) -> logging.LogRecord:
        """A likeness of a record that quotes no exception."""
        likeness = logging.makeLogRecord(record.__dict__)
        likeness.exc_text = likeness.stack_info = None
        if isinstance(record.args, tuple):
            likeness.args = tuple(_named(each) if isinstance(each, BaseException) else each for each in record.args)
        if record.exc_info and (error := record.exc_info[1]) is not None:
            # asyncio goes on with the future, whose repr holds its exception, and quotes the arguments of a callback.
            first, *_ = likeness.getMessage().splitlines() or [""]
            likeness.msg, likeness.args = first.partition("(")[0] if record.name == "asyncio" else first, ()
            bare = without_texts(error)
            likeness.exc_info = type(bare), bare, bare.__traceback__
        return likeness


def _named(error: BaseException) -> str:
    return ": ".join(filter(None, (type(error).__name__, text_of(error))))


def _likeness(error: BaseException, made: dict[int, BaseException]) -> BaseException:
    """`made`: the likenesses by the exceptions' identities; chains may be rings, and longer than anybody reads."""
    bare = made[id(error)] = _bare(error, ())
    if isinstance(error, BaseExceptionGroup):
        likenesses = [_known(each, made) for each in error.exceptions]
        bare = made[id(error)] = _bare(error, [each for each in likenesses if each is not None])
    bare.__traceback__ = error.__traceback__
    bare.__cause__ = _known(error.__cause__, made)
    bare.__context__ = _known(error.__context__, made)
    bare.__suppress_context__ = error.__suppress_context__
    return bare


def _known(error: BaseException | None, made: dict[int, BaseException]) -> BaseException | None:
    if error is None or id(error) in made:
        return made.get(id(error))
    return _likeness(error, made) if len(made) < _MOST else None


def _bare(error: BaseException, children: Sequence[BaseException]) -> BaseException:
    """An exception whose class is called the same; one of another class, since constructors ask for what they like."""
    kind = type(error)
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    if children:
        group: BaseException = type(kind.__name__, (BaseExceptionGroup,), names)("", children)
        return group
    bare: BaseException = type(kind.__name__, (BaseException,), names)(*filter(None, [text_of(error)]))
    return bare
