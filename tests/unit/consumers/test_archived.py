"""What is archived stays at rest: nothing begins in it again, whatever its owner asks for."""

import pytest

from events import Event, EventData, SessionControl, SessionSpec, TaskSpec, TaskSubmitted
from events.ids import derived_id, new_id
from tests.support.folding import Story, control
from tests.unit.consumers.test_turns import checked, working


def goal(session: str | None = None, *, hold: bool = False) -> Event[EventData]:
    """A piece of work; without a session it opens one."""
    task_id = new_id()
    opens = None if session else SessionSpec(kind="work")
    data = TaskSubmitted(task_id=task_id, spec=TaskSpec(prompt="Do it.", hold=hold), session=opens)
    session_id = session or str(derived_id(task_id, "session"))
    return Event.first(data, source="/gateway", tenant="t", owner="ada", task_id=task_id, session_id=session_id)


@pytest.mark.parametrize("action", ["start", "resume", "retry"])
def test_nothing_begins_again_in_an_archived_session(action: str) -> None:
    story, first = Story(), goal()
    more = goal(first.sessionid, hold=action == "start")
    story.fold(first, more, checked(first), checked(more))
    if action == "resume":
        story.fold(*working(more), control(more, "pause"))
    elif action == "retry":
        story.fold(control(more, "fail"))
    data = SessionControl(session_id=first.sessionid or "", action="archive", by="ada")
    story.fold(Event.first(data, source="/gateway", tenant="t", owner="ada", session_id=first.sessionid))
    again = control(more, action)
    assert story.fold(again) == []
    assert story.outcome(again) == "refused:session_archived"
