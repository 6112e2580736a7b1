"""The one error tree: a class says whether to retry, `code` says what it is called outside.

No HTTP here: `gateway/errors.py` maps classes to statuses. A class docstring is its default text.
"""

from typing import ClassVar


class GanglionError(Exception):
    """Something in Ganglion went wrong."""

    code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str | None = None, *, retry_after: float | None = None) -> None:
        self.detail = detail or (self.__doc__ or "").strip()
        self.retry_after = retry_after
        super().__init__(self.detail)


class TransientError(GanglionError):
    """Try the same thing again later."""

    code = "unavailable"
    retryable = True


class BusUnavailableError(TransientError):
    """The event log cannot be reached; nothing was sent."""

    code = "bus_unavailable"


class OutcomeUnknownError(TransientError):
    """The publish was sent and never acknowledged; repeat it with the same key."""

    code = "outcome_unknown"


class StoreUnavailableError(TransientError):
    """The database cannot be reached."""

    code = "store_unavailable"


class LogFullError(TransientError):
    """The event log is at its limit; new work is not taken until it drains."""

    code = "log_full"


class OverloadedError(TransientError):
    """The keeper lags; new work is not taken until it catches up."""

    code = "overloaded"


class LeaseLostError(TransientError):
    """Another keeper holds the lease, or the position moved under us."""

    code = "lease_lost"


class PermanentError(GanglionError):
    """The same thing will fail again."""


class InvalidEventError(PermanentError):
    """The bytes are not a CloudEvent of a known shape."""

    code = "invalid_event"


class UnknownEventTypeError(InvalidEventError):
    """A well-formed CloudEvent of a type that is not in the catalogue."""

    code = "unknown_event_type"


class InvalidIdError(PermanentError):
    """An id holds characters that are not allowed in one."""

    code = "invalid_id"


class InvalidPathError(PermanentError):
    """A file's path is not a safe relative one, or two paths cannot lie side by side."""

    code = "invalid_path"


class HistoryArchivedError(PermanentError):
    """A part of this history was archived: it is in a file of whoever runs Ganglion."""

    code = "history_archived"


class TopologyError(PermanentError):
    """The streams or consumers on the server are not what the table says and cannot be made so."""

    code = "topology_mismatch"
