"""The rules of sessions: opened by their first task, described anew, archived; never seen by another owner.

What happens to the turns of a conversation is in `turns.py`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import singledispatch

from consumers.keeper import turns, usage
from consumers.keeper.entering import enter
from consumers.keeper.session_state import SessionState, row_of, state_of
from consumers.keeper.state import SpecState, TaskState
from consumers.keeper.world import Aggregate, Effect, Key, RefusedError, State, World
from events.base import About, Event, EventData
from events.message import MessageAppended
from events.session import (
    SessionArchived,
    SessionControl,
    SessionEntered,
    SessionEvent,
    SessionOpened,
    SessionSpec,
    SessionUpdated,
)
from events.task import FINAL, QUOTA_EXCEEDED, TaskEntered, TaskSubmitted

MAX_TURNS = 1_000
"""Turns of one conversation that may wait at a time."""

REFUSALS = {
    "unknown_session": "There is no session of yours under this id.",
    "session_archived": "The session is archived: nothing new begins in it.",
    "session_full": f"{MAX_TURNS} turns of this conversation wait already.",
    QUOTA_EXCEEDED: "Your tenant uses as many sessions or tokens as it may.",
    "not_a_chat": "Turns belong to a conversation, and this session is none.",
}


def refusal(world: World, event: Event[EventData], data: TaskSubmitted, at: datetime) -> tuple[str, str] | None:
    """Why a new task cannot be in the session that it names, or be at all, as code and text; None if it can."""
    code = _refusal(world, event, data, at)
    return (code, REFUSALS[code]) if code else None


def _refusal(world: World, event: Event[EventData], data: TaskSubmitted, at: datetime) -> str | None:
    if usage.is_too_much(world, event, at):
        return QUOTA_EXCEEDED
    is_turn = data.spec.kind == "turn"
    if event.sessionid is None:
        return "unknown_session" if is_turn else None
    session = world.get(SessionState, event.sessionid)
    if session is not None and (session.tenant, session.owner) != (event.tenantid, event.ownerid):
        return "unknown_session"
    kind = session.kind if session is not None else data.session and data.session.kind
    if kind is None:
        return "unknown_session"
    if is_turn and kind != "chat":
        return "not_a_chat"
    return _closed(session) if session is not None else None


def _closed(session: SessionState) -> str | None:
    if session.status == "archived":
        return "session_archived"
    return "session_full" if len(session.turns) >= MAX_TURNS else None


def touches(event: Event[EventData]) -> Iterable[Key]:
    """The session that a request names; a task's own comes along with the task."""
    if isinstance(event.data, SessionControl):
        return (Key(SessionState, event.data.session_id),)
    if isinstance(event.data, TaskSubmitted) and event.sessionid is not None:
        return (Key(SessionState, event.sessionid),)
    return ()


def decide(world: World, event: Event[EventData], at: datetime) -> Sequence[Effect]:
    """What an event leads to for its session. Raises RefusedError."""
    data = event.data
    if isinstance(data, TaskEntered):
        return turns.decide(world, event, data) if data.kind == "turn" else ()
    if isinstance(data, TaskSubmitted):
        return _opening(world, event, data, at)
    return _controlled(world, event, data) if isinstance(data, SessionControl) else ()


def _opening(world: World, event: Event[EventData], data: TaskSubmitted, at: datetime) -> Sequence[Effect]:
    if event.sessionid is None or data.session is None or _refusal(world, event, data, at) is not None:
        return ()
    if world.get(SessionState, event.sessionid) is not None:
        return ()
    spec = data.session
    opened = SessionOpened(session_id=event.sessionid, kind=spec.kind, title=spec.title, version=1)
    return [Effect(opened, 1, About(event.ownerid, event.sessionid, data.task_id))]


def _controlled(world: World, event: Event[EventData], control: SessionControl) -> Sequence[Effect]:
    session = world.get(SessionState, control.session_id)
    if session is None or (session.tenant, session.owner) != (event.tenantid, event.ownerid):
        raise RefusedError("unknown_session")
    if session.status == "archived":
        raise RefusedError("session_archived")
    if control.expected_version not in (None, session.version):
        raise RefusedError("version_conflict")
    if control.action == "update":
        return [entered(session, SessionUpdated, title=control.title or session.title)]
    return [entered(session, SessionArchived), *_cancelled(world, session)]


def entered(session: SessionState, kind: type[SessionEntered], *, title: str | None = None) -> Effect:
    """The effect that a session enters its next version."""
    version = session.version + 1
    data = kind(session_id=session.id, kind=session.kind, title=title or session.title, version=version)
    return Effect(data, version, About(session.owner, session.id, None))


def _cancelled(world: World, session: SessionState) -> Iterable[Effect]:
    """What is still to be done in an archived session is not done."""
    for task_id in dict.fromkeys((*session.turns, *([session.task_id] if session.task_id else ()))):
        task = world.get(TaskState, task_id)
        if task is not None and task.status not in FINAL:
            yield enter(task, "cancelled", reason="session_archived")


def evolve(world: World, event: Event[EventData], at: datetime) -> None:
    """Put the session as it is after this event."""
    data = event.data
    if isinstance(data, TaskEntered) and data.kind != "turn":
        return
    session_id = data.session_id if isinstance(data, SessionEvent) else event.sessionid
    before = session = None if session_id is None else world.get(SessionState, session_id)
    if isinstance(data, TaskSubmitted):
        session = _joined(world, event, data, at)
    elif session is not None:
        session = _after(data, session, at)
    if session is not None and session is not before:
        world.put(session.id, session)
    if isinstance(data, MessageAppended):
        turns.keep(world, data, at)


def _joined(world: World, event: Event[EventData], data: TaskSubmitted, at: datetime) -> SessionState | None:
    """The session with a new task in it."""
    if event.sessionid is None or _refusal(world, event, data, at) is not None:
        return None
    session = world.get(SessionState, event.sessionid)
    if session is None:
        if data.session is None:
            return None
        session = _opened(event, data.session, at)
    waiting = (*session.turns, data.task_id) if data.spec.kind == "turn" else session.turns
    return session._replace(turns=waiting, task_id=session.task_id or data.task_id, updated_at=at)


def _opened(event: Event[EventData], spec: SessionSpec, at: datetime) -> SessionState:
    return SessionState(
        id=event.sessionid or "",
        tenant=event.tenantid,
        owner=event.ownerid,
        kind=spec.kind,
        status="open",
        title=spec.title,
        session_type=spec.session_type,
        tags=spec.tags,
        metadata=spec.metadata,
        agent_config=spec.agent_config,
        max_duration_seconds=spec.max_duration_seconds,
        parent_id=spec.parent_id,
        task_id=None,
        turns=(),
        active_turn=None,
        last_seq=0,
        version=1,
        created_at=at,
        updated_at=at,
    )


@singledispatch
def _after(_: EventData, session: SessionState, __: datetime) -> SessionState:
    """The session after an event that concerns it; one registered rule a kind."""
    return session


@_after.register
def _described(control: SessionControl, session: SessionState, at: datetime) -> SessionState:
    if control.action == "archive":
        return session._replace(status="archived", updated_at=at)
    tags = session.tags if control.tags is None else control.tags
    metadata = session.metadata if control.metadata is None else control.metadata
    return session._replace(tags=tags, metadata=metadata, updated_at=at)


@_after.register
def _announced(state: SessionEntered, session: SessionState, _: datetime) -> SessionState:
    return session._replace(title=state.title, version=state.version)


@_after.register
def _turned(state: TaskEntered, session: SessionState, _: datetime) -> SessionState:
    return turns.after(state, session)


@_after.register
def _said(said: MessageAppended, session: SessionState, at: datetime) -> SessionState:
    return session._replace(last_seq=said.seq, updated_at=at)


def related(state: State) -> Iterable[Key]:
    """The turns that have not ended, and what is said in the two that may begin next."""
    if not isinstance(state, SessionState):
        return ()
    return [Key(TaskState, turn) for turn in state.turns] + [Key(SpecState, turn) for turn in state.turns[:2]]


AGGREGATE = Aggregate(
    kind=SessionState,
    table="session",
    handles=(TaskSubmitted, TaskEntered, SessionEvent, MessageAppended),
    touches=touches,
    decide=decide,
    evolve=evolve,
    state_of=state_of,
    row_of=row_of,
    related=related,
)
