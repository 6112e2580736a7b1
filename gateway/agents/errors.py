"""Why an agent was not registered or changed, why nobody can take a task, and what is too large to be said."""

from collections.abc import Mapping, Sequence

from events.errors import PermanentError, TransientError
from events.route import Candidate
from gateway.errors import BodyTooLargeError, NotFoundError, RefusedError


class NameTakenError(RefusedError):
    """Somebody else in your tenant has registered an agent of this name."""

    code = "name_taken"


class AgentUnavailableError(TransientError):
    """No agent can take such a task now; `candidates` says why not, agent by agent."""

    code = "agent_unavailable"

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        super().__init__()
        self.members: dict[str, object] = {
            "candidates": [candidate.model_dump(exclude_none=True) for candidate in candidates]
        }


class RouterAwayError(TransientError):
    """The router does not answer; ask again in a moment."""

    code = "router_unavailable"


class OutputTooLargeError(BodyTooLargeError):
    """A fact may have 700 KiB, a file that travels with others 256 KiB; send larger files one event each."""

    code = "output_too_large"


_REFUSALS: Mapping[str, type[PermanentError]] = {"unknown_agent": NotFoundError, "name_taken": NameTakenError}


def agent_refusal(code: str) -> PermanentError:
    """The error for a refused command about an agent."""
    return _REFUSALS[code]() if code in _REFUSALS else RefusedError(f"It was refused ({code}).")
