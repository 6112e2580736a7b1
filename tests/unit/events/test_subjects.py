"""What is one consumer's alone is delivered to nobody else: some kinds of an event have subjects of their own."""

from uuid import uuid4

import pytest

from consumers._stops import STOPPING_SUBJECTS
from events.agent import ENGINE_AGENT
from events.base import Event, EventData
from events.streams import DURABLES, ROUTER
from events.subjects import subject_of
from events.task import COMPLETED, TaskAssigned, TaskCancelled, TaskEntered, TaskSucceeded


def subject(kind: type[TaskEntered], **values: object) -> str:
    """Where the keeper publishes it."""
    least = {"task_id": uuid4(), "kind": "goal", "from_status": "running", "version": 3, "attempt": 1}
    data: EventData = kind.model_validate({**least, **values})
    return subject_of(Event.first(data, source="/keeper", tenant="acme", owner="o"))


def matches(filters: tuple[str, ...], subject: str) -> bool:
    tokens = subject.split(".")
    return any(all(f in ("*", token) for f, token in zip(one.split("."), tokens, strict=True)) for one in filters)


def given(subject: str) -> list[str]:
    """The durables that are delivered it."""
    return [durable.name for durable in DURABLES if durable.stream == "BUS" and matches(durable.filters, subject)]


@pytest.mark.parametrize(
    ("agent_id", "consumer"),
    [("extractive", "runner"), (ENGINE_AGENT, "spec_engine"), ("AGENT-ECHO", "dispatch"), (None, "runner")],
)
def test_an_assignment_goes_to_the_one_consumer_whose_work_it_is(agent_id: str | None, consumer: str) -> None:
    assert given(subject(TaskAssigned, agent_id=agent_id)) == [consumer]


@pytest.mark.parametrize("values", [{"reason": COMPLETED}, {"attempt": 2}])
def test_who_runs_agents_hears_of_a_success_beside_which_a_run_may_go_on(values: dict[str, object]) -> None:
    succeeded = subject(TaskSucceeded, **values)
    assert matches(STOPPING_SUBJECTS, succeeded)
    assert ROUTER.name in given(succeeded)


def test_who_runs_agents_is_not_told_of_the_success_of_their_own_run() -> None:
    succeeded = subject(TaskSucceeded)
    assert not matches(STOPPING_SUBJECTS, succeeded)
    assert ROUTER.name in given(succeeded)


def test_who_runs_agents_hears_of_every_task_that_is_cancelled() -> None:
    assert matches(STOPPING_SUBJECTS, subject(TaskCancelled))
