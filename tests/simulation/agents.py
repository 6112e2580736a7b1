"""Those who run what they are assigned: the runners with their slots, and an agent of outside."""

from dataclasses import dataclass, field
from uuid import UUID

from consumers._execution import Execution, NotCommittedYetError, assigned, lost_of
from consumers.keeper.fold import Inbound
from consumers.keeper.runs import DECLINED
from events import Event, EventData, RunFinished, RunProgress, RunStarted, TaskError
from events.run import Outcome, RunEvent
from events.task import TaskAssigned
from tests.simulation.log import Feed, Log
from tests.simulation.queries import LookupTables


@dataclass
class Run:
    """One execution that this process is at work on."""

    execution: Execution
    cause: Event[EventData]
    item: Inbound
    life: int
    has_begun: bool = False
    said: int = 0


@dataclass
class Agent:
    """Who runs what it is assigned: the runner with its slots, or an agent of outside, whose work is its own at once.

    Looks at the row before it begins, and says that an execution is lost whose message came again, as
    consumers/runner/runner.py does.
    """

    log: Log
    feed: Feed
    lookup: LookupTables
    outside: bool
    runs: list[Run] = field(default_factory=list)
    is_calm: bool = False
    """Only does what it is asked for, at once and well."""

    async def step(self) -> bool:
        """Take one message or go on with one run; whether there was anything to do."""
        if self.runs and (self.log.dice.random() < 0.6 or not self.feed.has_more):
            await self._go_on(self.log.dice.choice(self.runs))
            return True
        items = self.feed.take(1)
        for item in items:
            await self._begin(item)
        return bool(items)

    async def _begin(self, item: Inbound) -> None:
        event = item.event
        if event is None or not isinstance(event.data, TaskAssigned):
            return self.feed.settle([item])  # of an agent that comes or goes, which is for its queue
        try:
            task = await assigned(event.data, self.lookup)  # type: ignore[arg-type]  # it asks for the task only
        except NotCommittedYetError:
            return self.feed.put_back([item])
        if task is None or (task.status == "running" and self.outside):
            return self.feed.settle([item])
        if task.status == "running":
            self._say(event, lost_of(task), place="0")
            return self.feed.settle([item])
        if self.outside:
            self.feed.settle([item])
        assert task.run_id is not None
        assert task.agent_id is not None
        drawn = UUID(int=self.log.dice.getrandbits(128))
        execution = Execution(task.run_id, task.id, task.attempt, drawn, task.agent_id)
        self.runs.append(Run(execution, event, item, self.feed.life))
        return None

    async def _go_on(self, run: Run) -> None:
        dice, named = self.log.dice, run.execution.named()
        task = await self.lookup.task(run.execution.task_id)
        if not run.has_begun:
            run.has_begun = True
            if self.outside and not self.is_calm and dice.random() < 0.1:
                error = TaskError(code=DECLINED, message="Not now.", retryable=True)
                return self._end(run, RunFinished.model_validate({**named, "outcome": "lost", "error": error}))
            return self._say(run.cause, RunStarted.model_validate(named))
        if run.said < 3 and dice.random() < 0.4:
            run.said += 1
            return self._say(run.cause, RunProgress.model_validate({**named, "seq": run.said}))
        is_stopped = task is not None and (task.status, task.attempt) != ("running", run.execution.attempt)
        return self._end(run, self._outcome(named, is_stopped=is_stopped))

    def _outcome(self, named: dict[str, object], *, is_stopped: bool) -> RunFinished:
        outcome, retryable = "succeeded", False
        if is_stopped and self.log.dice.random() < 0.7:
            outcome = "cancelled"
        elif not self.is_calm:
            outcome, retryable = self.log.dice.choices(_OUTCOMES, _WEIGHTS)[0]
        error = None if outcome in ("succeeded", "partial") else TaskError(code="x", message="x", retryable=retryable)
        return RunFinished.model_validate({**named, "outcome": outcome, "error": error})

    def _end(self, run: Run, data: RunEvent) -> None:
        self._say(run.cause, data)
        self.runs.remove(run)
        if not self.outside and run.life == self.feed.life:
            self.feed.settle([run.item])

    def _say(self, cause: Event[EventData], data: RunEvent, place: str = "1") -> None:
        """Under an id as consumers/_runtime.py gives it: by its place among all that is said of the execution."""
        index = data.ordinal or place
        self.log.publish(cause.caused(data, source="/consumers/runner", index=index, seed=str(data.execution_id)))

    def beat(self) -> None:
        """Every run says that it lives."""
        for run in self.runs:
            if run.has_begun:
                run.said += 1
                self._say(run.cause, RunProgress.model_validate({**run.execution.named(), "seq": run.said}))

    def stall(self) -> None:
        """Its messages are delivered again although it is at work on them."""
        if not self.outside:
            self.feed.put_back([run.item for run in self.runs if run.life == self.feed.life])

    def kill(self) -> None:
        """All its runs end without a word."""
        self.stall()
        self.runs.clear()


_OUTCOMES: tuple[tuple[Outcome, bool], ...] = (
    ("succeeded", False),
    ("partial", False),
    ("failed", True),
    ("failed", False),
)
_WEIGHTS = (75, 5, 12, 8)
