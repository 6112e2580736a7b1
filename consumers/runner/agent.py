"""What an agent in this process is: a name, what it can do, and a function from a piece of work to its result."""

from dataclasses import dataclass
from typing import Literal, Protocol

from events.base import JsonObject
from events.message import Role
from events.task import Kind
from events.work import StepDone


@dataclass(frozen=True, slots=True)
class Said:
    """One earlier message of the conversation, as the agent may see it."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Work:
    """What the agent may see: the request with what policy redacts already replaced, and what was said before it.

    `history` is in the order of the conversation, without the prompt itself; only a turn has one. `steps`: the
    results that it builds on, if it is in a plan. `checkpoint`: the last one of an attempt before, or the one that its
    owner has gone back to.
    """

    prompt: str
    context: str = ""
    acceptance_criteria: tuple[str, ...] = ()
    kind: Kind = "goal"
    history: tuple[Said, ...] = ()
    steps: tuple[StepDone, ...] = ()
    checkpoint: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the agent made of it; `output["text"]` is what a person reads. `partial`: it had to stop before its end."""

    output: JsonObject
    tokens: int = 0
    cost_usd: float = 0.0
    partial: bool = False


class Reporter(Protocol):
    """What an agent may say while it works; each call may wait until the bus has taken what was said before."""

    async def say(self, text: str) -> None:
        """The next piece of the answer. All pieces together should be `output["text"]`."""

    async def used(
        self,
        tool: str,
        parameters: JsonObject,
        result: JsonObject | None = None,
        *,
        status: Literal["succeeded", "failed"] = "succeeded",
    ) -> None:
        """A tool was used; what went in and what came out is kept exactly."""

    async def progress(self, note: str | None = None, percent: float | None = None) -> None:
        """How far the work is."""

    async def checkpoint(self, data: JsonObject, note: str | None = None) -> None:
        """What another attempt needs to go on from here. Raises CheckpointTooLargeError beyond 64 KiB of JSON."""

    def spent(self, tokens: int = 0, cost_usd: float = 0.0) -> None:
        """What more was spent. Raises BudgetExceededError once it is more than the task may cost."""


class Agent(Protocol):
    """One agent. It may raise a GanglionError, whose class says whether another attempt may help."""

    @property
    def id(self) -> str:
        """The name it is registered under."""

    @property
    def capabilities(self) -> frozenset[str]:
        """What it can do, for the registry."""

    @property
    def history_tokens(self) -> int:
        """How much of a conversation it takes, in tokens as `consumers.runner.history` estimates them."""

    async def run(self, work: Work, reporter: Reporter) -> Answer:
        """Do the work. Cancelling this call must stop it."""
