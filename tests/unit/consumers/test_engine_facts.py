"""Snapshots of the engine as events: none is larger than the bus takes, however long the paths are."""

import pytest

from consumers._execution import Execution
from consumers._run_facts import Facts, HostileFilesError, checked_files
from consumers.keeper.fold import MAX_BODY
from events.agent import ENGINE_AGENT
from events.base import Event
from events.codec import encode
from events.ids import new_id, run_id
from events.run import RunFiles


def told(files: dict[str, str]) -> list[RunFiles]:
    task_id = new_id()
    execution = Execution(run_id(task_id, 1), task_id, 1, new_id(), ENGINE_AGENT)
    return [*Facts(execution, "/x").snapshot(checked_files(files))]


def test_long_paths_leave_less_room_for_texts() -> None:
    folders = "/".join(["漢" * 80] * 6)
    facts = told({f"/{number}/{folders}": f"{number}" + "x" * 1_000 for number in range(500)})
    assert [fact.part for fact in facts[-2:]] == [True, False]
    assert len(facts[-1].files) == 500
    assert all(file.content or file.ref for file in facts[-1].files.values())
    events = [Event.first(fact, source="/x", tenant="t", owner="o", task_id=fact.task_id) for fact in facts]
    assert max(len(encode(event)) for event in events) <= MAX_BODY


def test_paths_that_fill_an_event_by_themselves_are_refused() -> None:
    folders = "/".join(["\U00020000" * 60] * 8)
    with pytest.raises(HostileFilesError, match="paths"):
        told({f"/{number}/{folders}": "" for number in range(500)})
