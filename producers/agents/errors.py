"""What can go wrong for an agent."""

from producers.sdk.errors import ProducerError


class AgentError(Exception):
    """Raise it in a handler: the task fails with this text; with `retryable` another attempt may follow.

    `code` is a stable word for programs: letters, digits, `_`, `-` and `.`, at most 64.
    """

    def __init__(self, message: str, *, code: str = "agent_error", retryable: bool = False) -> None:
        self.message = message
        self.code = code
        self.retryable = retryable
        super().__init__(message)


class SupersededError(ProducerError):
    """The agent's token is worth nothing any more: it was deregistered, or another process took its name."""


class NotMineError(Exception):
    """The run is over, or somebody else's: whatever is done for it now is in vain."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)
