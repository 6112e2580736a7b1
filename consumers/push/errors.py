"""What goes wrong between us and an outside agent that is called."""

from events.errors import PermanentError, TransientError


class AgentAwayError(TransientError):
    """The agent does not answer, or says that it cannot now."""

    code = "agent_unreachable"


class WrongPlaceError(TransientError):
    """What is at the agent's endpoint does not take its tasks: it redirects, or refuses whoever calls."""

    code = "endpoint_unusable"


class AgentRefusedError(PermanentError):
    """The agent refuses this task as it is."""

    code = "agent_refused"


class InvalidAnswerError(PermanentError):
    """The agent's answer does not fit its protocol."""

    code = "invalid_answer"


class AnswerTooLargeError(PermanentError):
    """The agent's answer is larger than Ganglion takes."""

    code = "output_too_large"
