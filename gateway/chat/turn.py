"""A turn on its way: the message becomes a task of its conversation, kept before anything is answered."""

from dataclasses import dataclass, replace
from uuid import UUID

from events.base import Event
from events.errors import GanglionError, OutcomeUnknownError, StoreUnavailableError
from events.session import SessionSpec
from events.task import FINAL, TURN_SECONDS, Budget, TaskSpec, TaskSubmitted
from gateway.accept import Acceptor, Durability
from gateway.auth.bearer import Principal
from gateway.chat.models import ChatRequest
from gateway.commands import Commands
from gateway.commits import Commits
from gateway.errors import UnansweredError
from gateway.http.preferences import Key
from gateway.live.rooms import Room
from gateway.metrics import Metrics
from gateway.tasks.asking import submission
from gateway.trail import Trail
from storage.reading import Database
from storage.tasks import TaskRow, find_task

_BUDGET = Budget(max_tokens=100_000, max_time_seconds=TURN_SECONDS)


@dataclass(frozen=True, slots=True)
class Turn:
    """One message: whose it is, its task and its conversation; after `accept` how well it is kept."""

    principal: Principal
    event: Event[TaskSubmitted]
    key: Key | None
    durability: Durability = "log+database"
    replayed: bool = False

    @property
    def task_id(self) -> UUID:
        """Its task."""
        return self.event.data.task_id

    @property
    def conversation_id(self) -> str:
        """Where it is said."""
        return str(self.event.sessionid)

    @property
    def room(self) -> Room:
        """Where its course is told."""
        return Room("task", self.principal.tenant, self.principal.owner, str(self.task_id))

    @property
    def headers(self) -> dict[str, str]:
        """Of every answer to it."""
        return {"Idempotency-Replayed": "true"} if self.replayed else {}


def make_turn(principal: Principal, asked: ChatRequest, key: Key | None, trail: Trail) -> Turn:
    """The turn that a request asks for; the first one of a conversation opens it."""
    event = submission(
        TaskSpec(kind="turn", prompt=asked.message, budget=_BUDGET),
        key,
        trail,
        tenant=principal.tenant,
        owner=principal.owner,
        session=None if asked.conversation_id else SessionSpec(kind="chat"),
        session_id=asked.conversation_id,
    )
    return Turn(principal, event, key)


class Turns:
    """Keeps turns and finds them again."""

    def __init__(
        self, *, acceptor: Acceptor, commits: Commits, commands: Commands, engine: Database, metrics: Metrics
    ) -> None:
        self._acceptor = acceptor
        self._commits = commits
        self._commands = commands
        self._engine = engine
        self._metrics = metrics

    async def accept(self, turn: Turn) -> Turn:
        """The turn as it was kept. Raises what accepting raises, and StoreUnavailableError before anything is sent:
        the answer would have to come from there.
        """
        if not self._commits.store_answers:
            raise StoreUnavailableError
        self._acceptor.refuse_if_overloaded()
        try:
            answered = await self._commands.ask(turn.event, turn.key)
        except OutcomeUnknownError as error:
            raise UnansweredError(turn.task_id, turn.key.value if turn.key else None) from error
        outcome = answered.outcome
        if outcome is not None and outcome != "applied" and not answered.replayed:
            raise GanglionError("The event was not understood by the keeper.")
        if not answered.replayed:
            self._metrics.submitted("normal")
        return replace(turn, durability="log" if outcome is None else "log+database", replayed=answered.replayed)

    async def ended(self, turn: Turn) -> TaskRow | None:
        """The turn's task if it has ended, as far as the database can be asked."""
        try:
            row = await find_task(self._engine, turn.task_id)
        except StoreUnavailableError:
            return None
        return row if row is not None and row.status in FINAL else None
