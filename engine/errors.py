"""What goes wrong in the engine; the class says whether to try again, `status` what HTTP calls it."""

from typing import ClassVar

from events.errors import GanglionError


class EngineError(GanglionError):
    """The engine could not do this."""

    status: ClassVar[int] = 500


class InvalidJobError(EngineError):
    """The request is not a job that this engine can run."""

    code = "invalid_job"
    status = 422


class TooLargeError(EngineError):
    """The request is larger than the engine reads."""

    code = "body_too_large"
    status = 413


class UnauthorizedError(EngineError):
    """The service token is missing or wrong."""

    code = "unauthorized"
    status = 401


class UnknownThreadError(EngineError):
    """No thread has this id."""

    code = "unknown_thread"
    status = 404


class FullError(EngineError):
    """As many threads are waiting as the engine holds; try again later."""

    code = "engine_full"
    retryable = True
    status = 503


class StoreAwayError(EngineError):
    """The checkpoint database cannot be reached."""

    code = "store_unavailable"
    retryable = True
    status = 503


class ModelError(EngineError):
    """The language model did not answer."""

    code = "model_unavailable"
    retryable = True
    status = 502


class ModelRefusedError(EngineError):
    """The language model refuses this engine's requests; its operator has to look."""

    code = "model_refused"
    status = 502
