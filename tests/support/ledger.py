"""The keeper's fold in memory, event by event, and what people and engines say to it about workflows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from consumers.keeper.context_state import ContextState, context_of, context_row
from consumers.keeper.fold import Fold, Inbound
from consumers.keeper.state import SpecState, TaskState
from consumers.keeper.workflow_rows import proposal_of, proposal_row, workflow_of, workflow_row
from consumers.keeper.workflow_state import ProposalState, WorkflowState, digests, proposal_id
from consumers.keeper.world import Key, MissingStateError, State, World
from events import (
    Event,
    EventData,
    File,
    ProposalDecide,
    ProposalExtracted,
    RouteDecided,
    RunFiles,
    RunFinished,
    RunStarted,
    Snapshot,
    TaskChecked,
    TaskSpec,
    TaskSubmitted,
    WorkflowControl,
)
from events.codec import encode
from events.files import digest_of
from events.ids import derived_id, new_id, run_id
from producers.reader import Delivery
from storage.models import context, event_log, proposal, workflow
from storage.unnest import Row, columns_of

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
AGENT = "spec-engine"
_OUTCOME = columns_of(event_log).index("outcome")
S = TypeVar("S", bound=State)


@dataclass
class Ledger:
    """All states and rows that the events so far have led to."""

    states: dict[Key, State] = field(default_factory=dict)
    rows: dict[str, dict[object, Row]] = field(default_factory=dict)
    announced: list[Event[EventData]] = field(default_factory=list)
    seq: int = 0
    at: datetime = BEGIN

    def say(self, data: EventData, *, owner: str = "o", source: str = "/gateway", tenant: str = "t") -> str:
        """Fold one event; its outcome."""
        task_id = getattr(data, "task_id", None)
        event = Event.first(data, source=source, tenant=tenant, owner=owner, task_id=task_id)
        return self.fold(event)

    def fold(self, event: Event[EventData]) -> str:
        """Fold one event as the keeper does, loading what its rules ask for; its outcome."""
        self.seq += 1
        self.at += timedelta(seconds=1)
        stamp = int(self.at.timestamp()) * 1_000_000_000
        item = Inbound(Delivery(self.seq, stamp, "", encode(event), None), event)
        known: dict[Key, State | None] = dict(self.states)
        while True:
            fold = Fold("e", World(known), 1)
            try:
                fold.take(item)
            except MissingStateError as missing:
                known[missing.key] = self.states.get(missing.key)
            else:
                return self._keep(fold)

    def _keep(self, fold: Fold) -> str:
        for key, state in fold.world.changed():
            if isinstance(state, TaskState) and (spec := state.planned or (state.birth and state.birth.spec)):
                self.states[Key(SpecState, state.id)] = SpecState(state.id, spec)
            self.states[key] = stored(state)
        for part, rows in fold.finish().rows.items():
            kept = self.rows.setdefault(part, {})
            kept.update({row[:2]: row for row in rows})
        self.announced += [outgoing.event for outgoing in fold.outgoing]
        outcome = list(self.rows["logged"].values())[-1][_OUTCOME]
        assert isinstance(outcome, str)
        return outcome

    def get(self, kind: type[S], state_id: object) -> S:
        state = self.states[Key(kind, state_id)]
        assert isinstance(state, kind)
        return state

    def names(self) -> list[str]:
        """What was announced, in order: `proposal.pending`."""
        return [f"{event.data.aggregate}.{event.data.event_name}" for event in self.announced]

    def workflow(self, files: dict[str, str] | None = None) -> UUID:
        """A new workflow of owner o."""
        workflow_id = new_id()
        command = WorkflowControl(workflow_id=workflow_id, action="create", by="o", name="Greeter", files=files or {})
        assert self.say(command) == "applied"
        return workflow_id

    def control(self, workflow_id: UUID, action: str, **more: object) -> str:
        """Publish or discard as owner o."""
        given = {"workflow_id": workflow_id, "action": action, "by": "o", **more}
        return self.say(WorkflowControl.model_validate(given))

    def request(self, workflow_id: UUID | None, **more: str) -> "Refinement":
        """A refinement of owner o, submitted."""
        refinement = Refinement(self, new_id())
        spec = TaskSpec(kind="refinement", prompt="Greet in French.", workflow_id=workflow_id)
        self.say(TaskSubmitted(task_id=refinement.task_id, spec=spec), **more)
        return refinement

    def proposed(self, workflow_id: UUID, files: dict[str, str]) -> "Refinement":
        """A refinement that ran well and whose proposal is pending, or superseded."""
        refinement = self.request(workflow_id)
        refinement.run([files])
        refinement.extract()
        return refinement

    def draft(self, workflow_id: UUID) -> dict[str, str]:
        """The draft's files, path -> digest."""
        return digests(self.get(WorkflowState, workflow_id).draft_files)


@dataclass
class Refinement:
    """What is said about one refinement by those who work on it."""

    ledger: Ledger
    task_id: UUID
    attempt: int = 1
    last: Snapshot | None = None

    @property
    def proposal(self) -> ProposalState:
        return self.ledger.get(ProposalState, proposal_id(self.task_id))

    @property
    def task(self) -> TaskState:
        return self.ledger.get(TaskState, self.task_id)

    @property
    def execution(self) -> UUID:
        return derived_id(self.task_id, "execution", self.attempt)

    def named(self) -> dict[str, object]:
        return {
            "run_id": run_id(self.task_id, self.attempt),
            "task_id": self.task_id,
            "attempt": self.attempt,
            "execution_id": self.execution,
            "agent_id": AGENT,
        }

    def start(self) -> None:
        """Screened, routed, started."""
        if self.attempt == 1:
            self.ledger.say(TaskChecked(task_id=self.task_id, decision="allow", rules_version="1"))
        decided = RouteDecided(task_id=self.task_id, attempt=self.attempt, agent_id=AGENT, score=1.0, reason="spec")
        self.ledger.say(decided)
        self.ledger.say(RunStarted.model_validate(self.named()))

    def snapshot(self, seq: int, files: dict[str, str] | dict[str, File], *, part: bool = False) -> str:
        """One full snapshot; its outcome."""
        made = {path: File.of(path, file) if isinstance(file, str) else file for path, file in files.items()}
        data = RunFiles.model_validate({**self.named(), "snapshot_seq": seq, "files": made, "part": part})
        event = Event.first(data, source="/consumers/spec_engine", tenant="t", owner="o", task_id=self.task_id)
        outcome = self.ledger.fold(event)
        if outcome == "applied" and not part:
            digest = digest_of({path: file.sha256 for path, file in made.items()})
            self.last = Snapshot(event_id=event.id, seq=seq, digest=digest)
        return outcome

    def finish(self, outcome: str = "succeeded", **more: object) -> str:
        """The run ends, naming its last snapshot unless told otherwise; its outcome in the log."""
        given = {**self.named(), "outcome": outcome, "snapshot": self.last, **more}
        return self.ledger.say(RunFinished.model_validate(given), source="/consumers/spec_engine")

    def run(self, snapshots: Sequence[dict[str, str]]) -> None:
        """A whole attempt that goes well."""
        self.start()
        for seq, files in enumerate(snapshots, 1):
            assert self.snapshot(seq, files) == "applied"
        assert self.finish() == "applied"

    def crash(self) -> None:
        """The attempt is lost, and the next one begins."""
        assert self.finish("lost", snapshot=None) == "applied"
        self.attempt += 1
        self.last = None

    def extract(self, **changed: object) -> str:
        """What the proposals consumer says of the finished run."""
        found = self.proposal
        given = {
            "proposal_id": found.id,
            "task_id": self.task_id,
            "run_id": found.run_id,
            "execution_id": found.execution_id,
            "snapshot": self.last,
            "summary": "1 file",
            "files": found.files,
            **changed,
        }
        return self.ledger.say(ProposalExtracted.model_validate(given), source="/consumers/proposals")

    def decide(self, decision: str, by: str = "o", *, source: str = "/gateway", **more: object) -> str:
        """Somebody decides; the outcome."""
        given = {"proposal_id": self.proposal.id, "task_id": self.task_id, "decision": decision, "by": by, **more}
        return self.ledger.say(ProposalDecide.model_validate(given), source=source)


def stored(state: State) -> State:
    """The state after its way through its row: nothing is lost there."""
    back: State = state
    if isinstance(state, WorkflowState):
        back = workflow_of(dict(zip(columns_of(workflow), workflow_row(state), strict=True)))
    elif isinstance(state, ProposalState):
        back = proposal_of(dict(zip(columns_of(proposal), proposal_row(state), strict=True)))
    elif isinstance(state, ContextState):
        back = context_of(dict(zip(columns_of(context), context_row(state)[1], strict=True)))
    elif isinstance(state, TaskState):
        return state._replace(birth=None, steered=False, planned=None)
    assert back == state
    return back
