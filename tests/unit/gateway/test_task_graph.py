"""The graph of dependencies and the words for statuses: what they make of what the database says."""

from datetime import UTC, datetime
from typing import get_args
from uuid import UUID

import pytest

from events.base import JsonObject
from events.ids import derived_id
from events.task import FINAL, Status
from gateway.tasks.graph import critical_path, graph_view
from gateway.tasks.requests import DependencyBody, StatusWord, TaskRequest
from gateway.tasks.statuses import action_for, possible
from storage.families import Relatives, TaskNode

AT = datetime(2026, 1, 1, tzinfo=UTC)


def named(name: str) -> UUID:
    return derived_id("task", name)


def node(name: str, *depends_on: str, hours: float | None = None, status: str = "waiting", **more: object) -> TaskNode:
    """A task that takes so long and depends on these: `x` for an end before its start, `x:start_to_start`."""
    links: list[JsonObject] = []
    for one in depends_on:
        other, _, kind = one.partition(":")
        links.append({"task_id": str(named(other)), "required": True, **({"type": kind} if kind else {})})
    three: JsonObject = {**dict.fromkeys(("optimistic", "likely", "pessimistic"), hours), "confidence": 0.8}
    values: dict[str, object] = dict.fromkeys(
        ("parent_id", "reason", "detail", "agent_id", "begun", "ms", "finished_at")
    )
    values |= {"id": named(name), "kind": "goal", "priority": "normal", "title": name, "status": status, "attempt": 1}
    values |= {
        "depends_on": links,
        "estimate": three if hours is not None else None,
        "created_at": AT,
        "updated_at": AT,
    }
    return TaskNode(**{**values, **more})  # type: ignore[arg-type]  # its fields


def test_fault_5_the_critical_path_is_the_longest_by_time_and_not_by_number() -> None:
    chain = [node("a", hours=0.1), node("b", "a", hours=0.05), node("c", "b", hours=0.05)]
    found = critical_path([*chain, node("long", hours=10), node("end", "c", "long", hours=1)])
    assert found == ([named("long"), named("end")], 11)


def test_the_hours_of_a_divided_task_are_those_of_its_steps_and_count_once() -> None:
    nodes = [node("a", hours=4), node("b", "a", hours=3), node("whole", "a", "b", hours=7, divided=True)]
    assert critical_path(nodes) == ([named("a"), named("b")], 7)


def test_who_starts_together_does_not_wait_for_the_others_time() -> None:
    nodes = [node("a", hours=4), node("b", "a:start_to_start", "a:finish_to_finish", hours=3), node("c", "b", hours=1)]
    assert critical_path(nodes) == ([named("a"), named("c")], 5)


def test_what_has_run_counts_as_long_as_it_ran_and_without_times_there_is_no_path() -> None:
    assert critical_path([node("a", ms=3_600_000), node("b", "a", ms=60)]) == (
        [named("a"), named("b")],
        1,
    )
    assert critical_path([node("a"), node("b", "a")]) == (None, None)
    assert critical_path([]) == (None, None)


def test_tasks_that_were_refused_as_a_ring_have_no_path() -> None:
    assert critical_path([node("a", "b", hours=1), node("b", "a", hours=1)]) == (None, None)


@pytest.mark.parametrize(
    ("link", "status", "start", "finish"),
    [
        ("", "running", False, True),
        ("", "succeeded", True, True),
        ("", "cancelled", False, False),
        (":start_to_start", "ready", False, True),
        (":start_to_start", "running", True, True),
        (":start_to_start", "failed", False, False),
        (":finish_to_finish", "running", True, False),
        (":finish_to_finish", "partial", True, True),
        (":start_to_finish", "waiting", True, False),
        (":start_to_finish", "paused", True, True),
    ],
)
def test_what_holds_a_task_back_is_what_holds_it_back_at_the_gate(
    link: str, status: str, *, start: bool, finish: bool
) -> None:
    task = node("task", f"other{link}")
    view = graph_view(task.id, Relatives([node("other", status=status), task], truncated=False))
    assert (view["can_start"], view["can_finish"]) == (start, finish)
    assert (view["blocked_by"], view["held_by"]) == (
        [] if start else [named("other")],
        [] if finish else [named("other")],
    )


def test_what_was_seen_to_begin_is_met_and_what_nobody_may_see_is_not() -> None:
    begun = node("task", "other:start_to_start", begun=[str(named("other"))])
    assert graph_view(begun.id, Relatives([node("other", status="failed"), begun], truncated=False))["can_start"]
    alone = node("task", "hidden")
    view = graph_view(alone.id, Relatives([alone], truncated=True))
    assert (view["can_start"], view["edges"], view["truncated"]) == (False, [], True)


@pytest.mark.parametrize(
    ("short", "long"),
    [("FS", "finish_to_start"), ("SS", "start_to_start"), ("FF", "finish_to_finish"), ("SF", "start_to_finish")],
)
def test_both_spellings_of_a_dependency_are_taken(short: str, long: str) -> None:
    other = str(named("other"))
    said = [{"task_id": other, "type": short}, {"task_id": other, "dependency_type": long, "is_required": False}]
    request = TaskRequest.model_validate({"prompt": "x", "depends_on": [other, *said]}, strict=False)
    assert [(one.type, one.required) for one in request.spec().depends_on] == [
        ("finish_to_start", True),
        (long, True),
        (long, False),
    ]
    assert DependencyBody.model_validate({"task_id": other}, strict=False).dependency().type == "finish_to_start"


# From where which word is a command; every other pair is none.
COMMANDS = {
    **{("paused", word): "resume" for word in ("ready", "running", "in_progress")},
    **{(status, word): "retry" for status in ("failed", "timed_out") for word in ("ready", "running", "in_progress")},
    ("running", "paused"): "pause",
    **{
        (status, word): action
        for status in get_args(Status)
        if status not in FINAL
        for word, action in (
            *(("succeeded", "complete"), ("completed", "complete")),
            *(("failed", "fail"), ("cancelled", "cancel")),
        )
    },
}


def test_every_word_in_every_status_is_one_command_or_none() -> None:
    for status in get_args(Status):
        for word in get_args(StatusWord):
            assert action_for(word, status, held=False) == COMMANDS.get((status, word)), (status, word)
    assert action_for("running", "waiting", held=True) == action_for("ready", "submitted", held=True) == "start"
    assert possible("paused", held=False) == ["running", "succeeded", "failed", "cancelled"]
    assert possible("skipped", held=False) == []
