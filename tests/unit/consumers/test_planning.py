"""A task that is divided: who may be, what a plan makes of it, and that no step of a refused plan is ever there."""

from uuid import UUID

import pytest

from consumers.keeper.family import MAX_DEPENDENCIES, MAX_FAMILY
from consumers.keeper.state import SpecState, TaskState
from consumers.keeper.world import Key
from consumers.planner.plan import Asked, make
from events import (
    Dependency,
    Event,
    PlanOptions,
    RouteDecided,
    RunStarted,
    TaskChecked,
    TaskDecompose,
    TaskDecomposed,
    TaskError,
    TaskSubmitted,
    TaskUndecomposed,
)
from events.ids import new_id
from tests.unit.consumers.test_task_course import AGENT, Book


class Desk(Book):
    """A book with a planner."""

    def ask(self, task: UUID, **options: object) -> tuple[str, UUID]:
        """Somebody wants a task divided: the outcome, and the plan's id."""
        plan = new_id()
        asked = TaskDecompose(task_id=task, plan_id=plan, by="o", options=PlanOptions.model_validate(options))
        return self.say(asked), plan

    def plan(self, task: UUID, plan: UUID, **options: object) -> TaskDecomposed:
        """What the planner makes of it."""
        spec = self.get(SpecState, task).spec
        return make(Asked(task, plan, spec, PlanOptions.model_validate(options)))

    def divide(self, task: UUID, **options: object) -> TaskDecomposed:
        """Asked for, planned, taken."""
        outcome, plan = self.ask(task, **options)
        assert outcome == "applied"
        made = self.plan(task, plan, **options)
        assert self.fact(task, made, "/consumers/planner") == "applied"
        return made

    def held(self, **spec: object) -> UUID:
        """A task on hold, screened."""
        task = self.submit(**{"hold": True, **spec})  # type: ignore[arg-type]  # fields of a spec
        self.check(task)
        return task

    def known(self, task: UUID) -> bool:
        return self.states.get(Key(TaskState, task)) is not None

    def reason(self, task: UUID) -> tuple[str, str | None]:
        return self.status(task), self.task(task).reason

    def submissions(self) -> list[Event[TaskSubmitted]]:
        return [event for event in self.announced if isinstance(event.data, TaskSubmitted)]  # type: ignore[misc]  # as looked


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_divided_task_waits_for_its_steps_and_runs_when_they_have_ended_well(desk: Desk) -> None:
    task = desk.held()
    made = desk.divide(task)
    steps = [step.task_id for step in made.children]
    assert desk.reason(task) == ("waiting", "dependencies")
    assert [desk.status(step) for step in steps] == ["submitted"] * 5
    assert {desk.task(step).kind for step in steps} == {"subtask"}
    for step in steps:
        assert desk.reason(task) == ("waiting", "dependencies")
        desk.done(step)
    assert desk.reason(task) == ("ready", "dependencies_met")
    assert desk.task(task).attempt == 1
    desk.assign(task)


def test_a_plan_is_waited_for(desk: Desk) -> None:
    task = desk.held()
    outcome, _ = desk.ask(task)
    assert (outcome, desk.reason(task)) == ("applied", ("waiting", "planning"))
    assert desk.task(task).due_at is not None


def test_steps_wait_for_each_other_as_the_plan_says(desk: Desk) -> None:
    made = desk.divide(desk.held())
    first, second, *_ = [step.task_id for step in made.children]
    desk.check(first)
    desk.check(second)
    assert (desk.reason(first)[0], desk.reason(second)) == ("ready", ("waiting", "dependencies"))
    desk.assign(first)
    desk.state_fact(first, RunStarted)
    desk.finish(first)
    assert desk.reason(second) == ("ready", "dependencies_met")


def test_steps_are_asked_for_like_any_task_so_that_they_are_screened(desk: Desk) -> None:
    task = desk.held(prompt="Call 0800 123.", priority="low")
    made = desk.divide(task)
    asked = desk.submissions()
    assert [event.data.task_id for event in asked] == [step.task_id for step in made.children]
    spec = asked[1].data.spec
    assert spec.prompt.startswith("Call 0800 123.\n\nDo only step 2 of 5, design: ")
    assert (spec.parent_id, spec.priority, spec.metadata) == (task, "low", {"step": "design"})
    assert {event.taskid for event in asked} == {step.task_id for step in made.children}
    assert "0800" not in made.model_dump_json()  # only what somebody submits holds what somebody wrote


def test_a_step_is_given_what_those_before_it_have_brought_and_the_task_what_all_have(desk: Desk) -> None:
    task = desk.held(task_type="backend", estimate=_a_day())
    made = desk.divide(task)
    top = [step.task_id for step in made.children if step.parent_id == task]
    asked = {event.data.task_id: event.data.spec for event in desk.submissions()}
    inner = [step.task_id for step in made.children if step.parent_id == top[1]]
    assert asked[top[0]].builds_on is None
    assert asked[top[4]].builds_on == tuple(top[:4])
    assert asked[top[1]].builds_on == (top[0], *inner)
    assert asked[inner[2]].builds_on == tuple(inner[:2])
    assert desk.get(SpecState, task).spec.builds_on == tuple(top)
    says = asked[inner[0]].prompt
    assert says.index("step 2 of 5, design") < says.index("step 1 of 5, analysis")


def test_what_a_task_and_its_steps_may_spend_is_what_the_task_might(desk: Desk) -> None:
    task = desk.held(budget={"max_tokens": 1_000, "max_time_seconds": 100, "max_cost_usd": 1.0})
    made = desk.divide(task)
    budgets = [desk.task(one).budget for one in (task, *(step.task_id for step in made.children))]
    assert sum(one.max_tokens for one in budgets) == 1_000
    assert sum(one.max_time_seconds for one in budgets) == 100
    assert sum(one.max_cost_usd for one in budgets) == pytest.approx(1.0)
    assert desk.get(SpecState, task).spec.budget == budgets[0]
    assert desk.get(SpecState, task).spec.steps == tuple(step.task_id for step in made.children)


def test_steps_of_steps_begin_after_what_their_step_waits_for(desk: Desk) -> None:
    other = desk.submit()
    task = desk.held(depends_on=(Dependency(task_id=other),), task_type="backend", estimate=_a_day())
    made = desk.divide(task)
    top = [step.task_id for step in made.children if step.parent_id == task]
    assert [one.task_id for one in desk.task(top[0]).depends_on] == [other]
    design = made.children[1]
    inner = [step.task_id for step in made.children if step.parent_id == design.task_id]
    assert len(inner) == 5
    assert [one.task_id for one in desk.task(inner[0]).depends_on] == [top[0]]
    assert {one.task_id for one in desk.task(design.task_id).depends_on} == {top[0], *inner}
    for step in [*reversed(made.children)]:
        desk.check(step.task_id)
    desk.done(other)
    _run_all(desk, [step.task_id for step in made.children])
    assert desk.reason(task) == ("ready", "dependencies_met")


@pytest.mark.parametrize(("end", "status"), [("cancel", "cancelled"), ("fail", "failed"), ("complete", "succeeded")])
def test_however_a_divided_task_ends_its_open_steps_end_with_it(desk: Desk, end: str, status: str) -> None:
    task = desk.held()
    made = desk.divide(task)
    steps = [step.task_id for step in made.children]
    desk.done(steps[0])
    assert desk.command(task, end) == "applied"
    assert desk.status(task) == status
    assert [desk.status(step) for step in steps] == ["succeeded", *["cancelled"] * 4]


def test_a_step_that_ends_badly_skips_the_task_and_what_is_left_of_it(desk: Desk) -> None:
    task = desk.held()
    first, *rest = [step.task_id for step in desk.divide(task).children]
    desk.start(first)
    desk.finish(first, "failed", error={"code": "x", "message": "No.", "retryable": False})
    assert desk.reason(task) == ("skipped", "dependency_failed")
    assert {desk.status(step) for step in rest} == {"cancelled"}


def test_a_task_that_was_divided_is_not_divided_again(desk: Desk) -> None:
    task = desk.held(task_type="backend", estimate=_a_day())
    outcome, plan = desk.ask(task)
    assert (outcome, desk.ask(task)[0]) == ("applied", "refused:already_decomposed")
    made = desk.plan(task, plan)
    assert desk.fact(task, made, "/consumers/planner") == "applied"
    assert desk.ask(task)[0] == "refused:already_decomposed"
    with_steps = next(step for step in made.children if step.step == "design")
    assert desk.ask(with_steps.task_id)[0] == "refused:already_decomposed"
    assert desk.ask(made.children[0].task_id)[0] == "applied"


def test_who_has_begun_or_ended_is_not_divided(desk: Desk) -> None:
    begun, ended, retried = desk.submit(), desk.submit(), desk.submit()
    desk.start(begun)
    desk.done(ended)
    desk.start(retried)
    desk.finish(retried, "failed", error={"code": "x", "message": "No.", "retryable": True})
    assert desk.reason(retried) == ("waiting", "retry")
    found = [desk.ask(task)[0] for task in (begun, ended, retried)]
    assert found == ["refused:has_begun", "refused:task_final", "refused:has_begun"]


def test_a_plan_that_comes_after_the_task_was_taken_leaves_no_step_behind(desk: Desk) -> None:
    task = desk.submit()
    desk.check(task)
    desk.assign(task)
    outcome, plan = desk.ask(task)
    assert outcome == "refused:has_begun"
    made = desk.plan(task, plan)
    assert desk.fact(task, made, "/consumers/planner") == "refused:plan_not_asked"
    assert desk.submissions() == []
    assert not any(desk.known(step.task_id) for step in made.children)
    assert desk.state_fact(task, RunStarted) == "applied"


def test_a_route_that_comes_after_the_request_is_refused(desk: Desk) -> None:
    task = desk.submit()
    desk.check(task)
    assert desk.status(task) == "ready"
    assert desk.ask(task)[0] == "applied"
    assert desk.reason(task) == ("waiting", "planning")
    with pytest.raises(AssertionError, match="stale_route"):
        desk.assign(task)


def test_a_route_from_before_the_request_is_refused_though_the_task_is_ready_again(desk: Desk) -> None:
    """Its slot was taken back with the request; the router decides once more."""
    task = desk.submit()
    desk.check(task)
    before = desk.task(task).version
    plan = desk.ask(task)[1]
    error = TaskError(code="no_plan", message="No.")
    desk.fact(task, TaskUndecomposed(task_id=task, plan_id=plan, error=error), "/consumers/planner")
    assert desk.status(task) == "ready"
    for version, outcome in ((before, "refused:stale_route"), (desk.task(task).version, "applied")):
        named = {"task_id": task, "attempt": 1, "agent_id": AGENT, "score": 1.0, "reason": "x", "task_version": version}
        assert desk.fact(task, RouteDecided.model_validate(named), "/consumers/router") == outcome


def test_a_plan_for_a_task_that_was_cancelled_meanwhile_leaves_no_step_behind(desk: Desk) -> None:
    task = desk.held()
    _, plan = desk.ask(task)
    made = desk.plan(task, plan)
    desk.command(task, "cancel")
    assert desk.fact(task, made, "/consumers/planner") == "refused:task_final"
    assert desk.submissions() == []


def test_another_plan_than_the_one_that_was_asked_for_is_refused(desk: Desk) -> None:
    task = desk.held()
    _, plan = desk.ask(task)
    other = desk.plan(task, new_id())
    assert desk.fact(task, other, "/consumers/planner") == "refused:plan_not_asked"
    made = desk.plan(task, plan)
    assert desk.fact(task, made, "/consumers/planner") == "applied"
    assert desk.fact(task, made, "/consumers/planner") == "refused:plan_not_asked"


@pytest.mark.parametrize("first", ["plan", "verdict"])
def test_a_task_may_be_divided_before_its_verdict_and_none_of_it_runs_unscreened(desk: Desk, first: str) -> None:
    task = desk.submit()
    outcome, plan = desk.ask(task)
    assert (outcome, desk.status(task)) == ("applied", "submitted")
    made = desk.plan(task, plan)
    if first == "verdict":
        desk.check(task)
        assert desk.reason(task) == ("waiting", "planning")
    assert desk.fact(task, made, "/consumers/planner") == "applied"
    if first == "plan":
        assert desk.status(task) == "submitted"
        desk.check(task)
    assert desk.reason(task) == ("waiting", "dependencies")
    _run_all(desk, [step.task_id for step in made.children])
    assert desk.status(task) == "ready"


def test_the_steps_of_a_task_that_policy_blocks_end_with_it(desk: Desk) -> None:
    task = desk.submit()
    _, plan = desk.ask(task)
    made = desk.plan(task, plan)
    desk.fact(task, made, "/consumers/planner")
    blocked = TaskChecked(task_id=task, decision="block", rules_version="1")
    assert desk.fact(task, blocked, "/consumers/reflex") == "applied"
    assert desk.status(task) == "blocked"
    assert {desk.status(step.task_id) for step in made.children} == {"cancelled"}


def test_a_task_that_cannot_be_divided_goes_on_as_it_was(desk: Desk) -> None:
    held, free = desk.held(), desk.submit()
    desk.check(free)
    for task in (held, free):
        _, plan = desk.ask(task)
        error = TaskError(code="budget_too_small", message="It does not go round.")
        none = TaskUndecomposed(task_id=task, plan_id=plan, error=error)
        assert desk.fact(task, none, "/consumers/planner") == "applied"
    assert (desk.reason(held), desk.reason(free)) == (("waiting", "hold"), ("ready", "not_decomposed"))
    assert desk.ask(held)[0] == "applied"


def test_a_plan_that_is_late_is_asked_for_again_and_counts_once(desk: Desk) -> None:
    task = desk.held()
    _, plan = desk.ask(task, max_depth=2)
    assert desk.command(task, "retry") == "applied"
    again = [event.data for event in desk.announced if isinstance(event.data, TaskDecompose)]
    assert [(one.plan_id, one.options.max_depth) for one in again] == [(plan, 2)]
    assert desk.reason(task) == ("waiting", "planning")
    made = desk.plan(task, plan)
    assert desk.fact(task, made, "/consumers/planner") == "applied"
    assert desk.fact(task, made, "/consumers/planner") == "refused:plan_not_asked"
    assert len(desk.submissions()) == 5


def test_a_family_without_room_for_a_plan_is_not_divided(desk: Desk) -> None:
    task = desk.held()
    for _ in range(MAX_FAMILY - 20):
        desk.submit(parent_id=task)
    assert desk.ask(task)[0] == "refused:family_too_large"


def test_the_first_step_may_depend_on_as_much_as_its_task_and_on_its_own_steps(desk: Desk) -> None:
    others = [Dependency(task_id=desk.submit()) for _ in range(MAX_DEPENDENCIES)]
    task = desk.held(depends_on=others, estimate={**_a_day(), "likely": 60.0})
    made = desk.divide(task)
    first = made.children[0].task_id
    assert len(desk.task(first).depends_on) == MAX_DEPENDENCIES + 5
    assert {desk.status(step.task_id) for step in made.children} == {"submitted"}


def test_a_step_that_waits_for_a_start_begins_beside_those_before_it(desk: Desk) -> None:
    made = desk.divide(desk.held(prompt="Split the shop into microservices."))
    shared, services = made.children[:3], made.children[3:]
    for step in made.children:
        desk.check(step.task_id)
    assert {desk.reason(step.task_id) for step in services} == {("waiting", "dependencies")}
    for step in shared:
        desk.start(step.task_id)
    assert {desk.status(step.task_id) for step in services} == {"ready"}
    asked = {event.data.task_id: event.data.spec for event in desk.submissions()}
    assert asked[services[0].task_id].builds_on is None


def test_what_holds_back_only_the_end_of_a_task_holds_back_no_step(desk: Desk) -> None:
    other = desk.submit()
    task = desk.held(depends_on=(Dependency(task_id=other, type="finish_to_finish"),))
    made = desk.divide(task)
    assert desk.task(made.children[0].task_id).depends_on == ()
    _run_all(desk, [step.task_id for step in made.children])
    assert desk.reason(task) == ("ready", "dependencies_met")


def test_a_dependency_that_was_added_later_counts_for_the_steps_too(desk: Desk) -> None:
    other, task = desk.submit(), desk.held()
    assert desk.command(task, "add_dependency", dependency={"task_id": other}) == "applied"
    made = desk.divide(task)
    assert [one.task_id for one in desk.task(made.children[0].task_id).depends_on] == [other]
    named = [other, *(step.task_id for step in made.children)]
    assert [one.task_id for one in desk.get(SpecState, task).spec.depends_on] == named
    assert desk.task(task).course.linked is None
    assert desk.command(task, "add_dependency", dependency={"task_id": desk.submit()}) == "applied"


def test_turns_are_not_divided(desk: Desk) -> None:
    refinement = desk.submit(kind="refinement")
    assert desk.ask(refinement)[0] in {"refused:not_decomposable", "refused:task_final"}


def test_a_step_that_cannot_be_taken_up_skips_the_task_instead_of_leaving_it_to_wait(desk: Desk) -> None:
    task = desk.held()
    _, plan = desk.ask(task)
    for _ in range(MAX_FAMILY - 2):
        desk.submit(parent_id=task)
    made = desk.plan(task, plan)
    assert desk.fact(task, made, "/consumers/planner") == "applied"
    assert desk.reason(task) == ("skipped", "dependency_failed")
    assert not {desk.status(step.task_id) for step in made.children} & {"submitted", "waiting", "ready"}


def _run_all(desk: Desk, steps: list[UUID]) -> None:
    """Each as soon as it may."""
    left = list(steps)
    for step in left:
        if desk.status(step) == "submitted":
            desk.check(step)
    while left:
        ready = next(step for step in left if desk.status(step) == "ready")
        desk.start(ready)
        assert desk.finish(ready) == "applied"
        left.remove(ready)


def _a_day() -> dict[str, float]:
    return {"optimistic": 16.8, "likely": 21.0, "pessimistic": 31.5, "confidence": 0.8}
