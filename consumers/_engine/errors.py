"""What goes wrong on the way to the spec engine. Only EngineAwayError is the engine's fault, for the breaker."""

from events.errors import PermanentError, TransientError


class EngineAwayError(TransientError):
    """The spec engine does not answer, or says that it cannot now."""

    code = "engine_unavailable"


class EngineRefusedError(PermanentError):
    """The spec engine answers that this request is wrong."""

    code = "engine_refused"


class UnknownThreadError(PermanentError):
    """The spec engine knows no such thread."""

    code = "unknown_thread"
