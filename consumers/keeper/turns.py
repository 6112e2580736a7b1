"""The turns of a conversation: one at a time, in order of arrival; what was said takes its place when a turn begins.

A turn begins with `task.ready`: the user's message is appended then, in the same commit, so it is kept before any
agent sees it. When a turn ends, however it ends, the next one that waits for it begins. A blocked turn leaves nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic_core import to_json

from consumers.keeper.entering import enter
from consumers.keeper.rows import text
from consumers.keeper.session_state import SessionState
from consumers.keeper.state import SpecState, TaskState
from consumers.keeper.world import Effect, Key, State, World
from events.base import About, Event, EventData
from events.ids import derived_id
from events.message import MessageAppended, Role
from events.session import SessionUpdated
from events.task import FINAL, GOOD, TaskEntered

BUSY = "session_busy"
_TITLE = 60


def of_task(task: State) -> Iterable[Key]:
    """The session of a turn: to be loaded along with it."""
    if isinstance(task, TaskState) and task.kind == "turn" and task.session_id is not None:
        return (Key(SessionState, task.session_id),)
    return ()


def gate(world: World, task: TaskState) -> str | None:
    """Why a turn cannot begin yet: another one that arrived before it has not ended."""
    if task.kind != "turn" or task.session_id is None:
        return None
    session = world.get(SessionState, task.session_id)
    if session is None:
        return None
    if task.id in session.turns:
        return None if session.turns[0] == task.id else BUSY
    return None if session.active_turn is None else BUSY  # it is tried again


def is_archived(world: World, task: TaskState) -> bool:
    """Whether the task is in a session in which nothing begins any more."""
    session = None if task.session_id is None else world.get(SessionState, task.session_id)
    return session is not None and session.status == "archived"


def may_retry(world: World, task: TaskState) -> bool:
    """Whether a turn that has ended may be tried again: only the latest one, so that the order stays true."""
    if task.kind != "turn" or task.session_id is None:
        return True
    session = world.get(SessionState, task.session_id)
    return session is not None and session.active_turn is None and session.task_id == task.id


def decide(world: World, event: Event[EventData], state: TaskEntered) -> Sequence[Effect]:
    """What the state of a turn leads to: its message, its answer, the next turn."""
    session = None if event.sessionid is None else world.get(SessionState, event.sessionid)
    task = world.get(TaskState, state.task_id)
    if session is None or task is None:
        return ()
    if state.status == "ready":
        return _begun(world, session, task, state)
    if state.status in FINAL and task.id in session.turns:
        return [*_answered(session, task, state), *_next(world, session, task)]
    return ()


def _begun(world: World, session: SessionState, task: TaskState, state: TaskEntered) -> Sequence[Effect]:
    if session.active_turn == task.id or state.attempt > 1:
        return ()
    said = _said(world, task)
    effects = [_message(session, task, "user", said)]
    if session.title is None:
        title = title_of((task.redacted or {}).get("goal", said))
        version = session.version + 1
        updated = SessionUpdated(session_id=session.id, kind=session.kind, title=title, version=version)
        effects.append(Effect(updated, version, About(session.owner, session.id, None)))
    return effects


def _said(world: World, task: TaskState) -> str:
    """The user's own words."""
    if task.birth is not None:
        return task.birth.spec.prompt
    asked = world.get(SpecState, task.id)
    return asked.spec.prompt if asked is not None else ""


def _answered(session: SessionState, task: TaskState, state: TaskEntered) -> Sequence[Effect]:
    if state.status not in GOOD or session.active_turn != task.id:
        return ()
    result = state.result or {}
    words = result.get("text")
    said = words if isinstance(words, str) else to_json(result, inf_nan_mode="null").decode()
    return [_message(session, task, "assistant", said)]


def _next(world: World, session: SessionState, task: TaskState) -> Sequence[Effect]:
    """The turn behind the one that ends, if that was the first and the next has been waiting for it."""
    if session.status != "open" or session.turns[:1] != (task.id,) or len(session.turns) == 1:
        return ()
    waiting = world.get(TaskState, session.turns[1])
    if waiting is None or (waiting.status, waiting.reason) != ("waiting", BUSY):
        return ()
    return [enter(waiting, "ready", attempt=max(1, waiting.attempt))]


def _message(session: SessionState, task: TaskState, role: Role, content: str) -> Effect:
    seq = session.last_seq + 1
    data = MessageAppended(
        message_id=derived_id(task.id, "message", role),
        session_id=session.id,
        task_id=task.id,
        seq=seq,
        role=role,
        content=content,
    )
    return Effect(data, seq, About(session.owner, session.id, task.id))


def after(state: TaskEntered, session: SessionState) -> SessionState:
    """The session after one of its turns entered a state."""
    turn = state.task_id
    if state.status == "ready":
        turns = session.turns if turn in session.turns else (turn, *session.turns)  # tried again
        return session._replace(turns=turns, active_turn=turn, task_id=turn)
    if turn not in session.turns:  # it had ended before its verdict, which is asked for again
        return session._replace(turns=(*session.turns, turn)) if state.status == "waiting" else session
    if state.status not in FINAL:
        return session
    return session._replace(
        turns=tuple(other for other in session.turns if other != turn),
        active_turn=None if session.active_turn == turn else session.active_turn,
    )


def keep(world: World, said: MessageAppended, at: datetime) -> None:
    """The row of a message; an answer names the execution that gave it, whose tool calls are its own."""
    task = world.get(TaskState, said.task_id)
    execution = task.execution_id if task is not None and said.role == "assistant" else None
    row = (
        said.message_id,
        said.session_id,
        said.seq,
        said.task_id,
        execution,
        said.role,
        text(said.content),
        at,
    )
    world.add("said", said.message_id, row)


def title_of(message: str) -> str:
    """A conversation's title: its first words, at most 60 characters."""
    line = " ".join(message.split())
    if len(line) <= _TITLE:
        return line
    cut = line[: _TITLE - 1]
    return f"{cut[: cut.rfind(' ')] if ' ' in cut else cut}\u2026"
