"""What an agent is given of the steps that its task builds on, whichever agent it is."""

from collections.abc import Sequence
from uuid import UUID

from consumers._execution import Execution
from consumers._steps import MAX_BYTES, as_text, steps_of
from consumers.dispatch import work_of
from consumers.runner.agent import Said, Work
from consumers.runner.extractive import ExtractiveAgent
from consumers.runner.llm import messages_for
from consumers.runner.report import Report
from consumers.runner.work import work_for
from events import Budget, TaskSpec
from events.ids import new_id, run_id
from producers.agents.work import Task
from storage.lookup import TaskView
from storage.steps import StepResult
from tests.support.lookups import NoLookup

STEPS = (new_id(), new_id())


class Ended(NoLookup):
    """Knows how two steps ended."""

    def __init__(self, *results: dict[str, object] | None) -> None:
        self._results = results

    async def results(self, steps: Sequence[UUID]) -> Sequence[StepResult]:
        assert tuple(steps) == STEPS
        names = ("design", "testing")
        return [
            StepResult(one, name, "succeeded", result)  # type: ignore[arg-type]  # JSON
            for one, name, result in zip(steps, names, self._results, strict=True)
        ]


SPEC = TaskSpec(prompt="Build it.", builds_on=STEPS)


def view(spec: TaskSpec) -> TaskView:
    task = new_id()
    named = (task, "acme", "ada", None, "assigned", 1, "someone", run_id(task, 1), None)
    return TaskView(*named, spec, {})  # type: ignore[arg-type]  # the fields in their order


async def test_results_come_in_the_order_of_the_plan_as_what_a_person_reads() -> None:
    found = await steps_of(SPEC, Ended({"text": "Two parts."}, {"passed": 3}))
    assert [(one.step, one.status, one.text, one.truncated) for one in found] == [
        ("design", "succeeded", "Two parts.", None),
        ("testing", "succeeded", '{"passed":3}', None),
    ]
    assert "design (succeeded):\nTwo parts." in as_text(found)


async def test_long_results_are_cut_and_say_so_and_absent_ones_are_empty() -> None:
    long, none = await steps_of(SPEC, Ended({"text": "x" * MAX_BYTES}, None))
    assert (len(long.text), long.truncated, none.text) == (MAX_BYTES // 2, True, "")
    quotes, umlauts = await steps_of(SPEC, Ended({"text": '"' * MAX_BYTES}, {"text": "ü" * MAX_BYTES}))
    assert [len(one.text) for one in (quotes, umlauts)] == [MAX_BYTES // 4] * 2


async def test_results_never_make_work_too_large_for_a_message() -> None:
    long = SPEC.model_copy(update={"prompt": "x" * 950_000})
    assert [one.text for one in await steps_of(long, Ended({"text": "a"}, {"text": "b"}))] == ["", ""]
    assert all(one.truncated for one in await steps_of(long, Ended({"text": "a"}, {"text": "b"})))


async def test_nothing_is_looked_up_for_a_task_that_is_in_no_plan() -> None:
    work = await work_for(ExtractiveAgent(), view(TaskSpec(prompt="x")), NoLookup())
    assert (work.steps, await steps_of(TaskSpec(prompt="x"), NoLookup())) == ((), ())


async def test_the_offline_agent_puts_the_results_beside_its_answer() -> None:
    agent = ExtractiveAgent()
    work = await work_for(agent, view(SPEC), Ended({"text": "Two parts."}, {"text": "All well."}))
    report = Report(Execution(new_id(), new_id(), 1, new_id(), agent.id), Budget())
    output = (await agent.run(work, report)).output
    assert output["text"] == "Build it."
    assert output["steps"] == [
        {"step": "design", "status": "succeeded", "text": "Two parts."},
        {"step": "testing", "status": "succeeded", "text": "All well."},
    ]


async def test_a_model_is_told_the_results_and_an_outside_agent_finds_them_in_its_task() -> None:
    steps = await steps_of(SPEC, Ended({"text": "Two parts."}, {"text": "All well."}))
    *_, asked = messages_for(Work(prompt="Build it.", steps=steps), "system")
    assert asked == Said("user", f"Build it.\n\nThese steps are done. Build on their results:\n\n{as_text(steps)}")
    assigned = work_of(view(SPEC), "AGENT-ONE", steps=steps)
    assert Task.of(assigned).steps == steps
    assert "steps" not in work_of(view(SPEC), "AGENT-ONE").model_dump(exclude_none=True)
