"""What an agent in this process is: a name, and a function from a piece of work to its result."""

from dataclasses import dataclass
from typing import Protocol

from events.base import JsonObject


@dataclass(frozen=True, slots=True)
class Work:
    """What the agent may see: the request with what policy redacts already replaced."""

    prompt: str
    context: str
    acceptance_criteria: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the agent made of it; `output["text"]` is what a person reads."""

    output: JsonObject
    tokens: int = 0
    cost_usd: float = 0.0


class Agent(Protocol):
    """One agent. It may raise a GanglionError, whose class says whether another attempt may help."""

    @property
    def id(self) -> str:
        """The name it is registered under."""

    async def run(self, work: Work) -> Answer:
        """Do the work. Cancelling this call must stop it."""
