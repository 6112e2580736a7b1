"""The keeper's fold without a keeper: events in batches, and between batches only what the database would have kept."""

from uuid import UUID

from consumers.keeper.fold import Fold, Inbound
from consumers.keeper.session_state import SessionState
from consumers.keeper.state import SpecState, TaskState
from consumers.keeper.world import Key, S, State, World
from events import Event, EventData, MessageAppended, TaskControl, TaskEntered
from events.codec import encode
from producers.reader import Delivery
from storage.unnest import Row

_START = 1_767_225_600


class Kept(World):
    """A world in which everything that is not kept is known not to exist."""

    def get(self, kind: type[S], state_id: object) -> S | None:
        self._states.setdefault(Key(kind, state_id), None)
        return super().get(kind, state_id)


class Story:
    """What was published, and what is kept."""

    def __init__(self) -> None:
        self.states: dict[Key, State | None] = {}
        self.published: list[Event[EventData]] = []
        self.messages: list[Row] = []
        self.outcomes: dict[str, str] = {}
        self._seq = 0
        self._known: set[tuple[str, str]] = set()

    def fold(self, *events: Event[EventData]) -> list[EventData]:
        """One batch; what the keeper published of it."""
        fold = Fold("e", Kept(self.states), len(self.published) + 1, self._known)
        for event in events:
            self._seq += 1
            stamp = (_START + self._seq) * 1_000_000_000
            fold.take(Inbound(Delivery(self._seq, stamp, "bus.t.x.y.1", encode(event), None), event))
        rows = fold.finish()
        self.outcomes.update(fold.outcomes)
        for key, state in fold.world.changed():
            self._keep(key, state)
        self.messages += rows.of("said")
        news = [outgoing.event for outgoing in fold.outgoing]
        self.published += news
        return [event.data for event in news]

    def outcome(self, event: Event[EventData]) -> str:
        """What became of an event of somebody who waits for it."""
        return self.outcomes[event.id]

    def task(self, task_id: UUID | None) -> TaskState:
        state = self.states[Key(TaskState, task_id)]
        assert isinstance(state, TaskState)
        return state

    def session(self, session_id: str | None) -> SessionState:
        state = self.states[Key(SessionState, session_id)]
        assert isinstance(state, SessionState)
        return state

    def history(self, session_id: str | None) -> list[tuple[int, str, str]]:
        """Number, role and text of every message."""
        return [(int(str(row[2])), str(row[5]), str(row[6])) for row in self.messages if row[1] == session_id]

    def said(self) -> list[MessageAppended]:
        return [event.data for event in self.published if isinstance(event.data, MessageAppended)]

    def courses(self) -> dict[UUID, list[str]]:
        """The states that each task was announced to enter."""
        found: dict[UUID, list[str]] = {}
        for event in self.published:
            if isinstance(event.data, TaskEntered):
                found.setdefault(event.data.task_id, []).append(event.data.status)
        return found

    def _keep(self, key: Key, state: State) -> None:
        if isinstance(state, TaskState):
            if state.birth is not None:
                self.states[Key(SpecState, state.id)] = SpecState(state.id, state.birth.spec)
            if state.planned is not None:
                self.states[Key(SpecState, state.id)] = SpecState(state.id, state.planned)
            state = state._replace(birth=None, steered=False, planned=None)
        self.states[key] = state


def control(cause: Event[EventData], action: str, **more: object) -> Event[EventData]:
    """Somebody's command about the cause's task."""
    data = TaskControl.model_validate({"task_id": cause.taskid, "action": action, "by": cause.ownerid, **more})
    return Event.first(
        data,
        source="/gateway",
        tenant=cause.tenantid,
        owner=cause.ownerid,
        task_id=cause.taskid,
        session_id=cause.sessionid,
    )
