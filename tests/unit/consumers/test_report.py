"""What an agent says becomes facts: in order, text merged but never across another fact, bounded, within the budget."""

import asyncio

import pytest

from consumers._execution import Execution
from consumers.runner.report import BudgetExceededError, RefusedWordsError, Report
from events import Budget, RunDelta, RunProgress, RunToolCalled
from events.ids import new_id

EXECUTION = Execution(new_id(), new_id(), 1, new_id(), "extractive")


def a_report(**budget: float) -> Report:
    return Report(EXECUTION, Budget.model_validate(budget))


async def test_text_is_merged_up_to_the_next_fact_and_its_places_have_no_hole() -> None:
    report = a_report()
    for word in ("one ", "two ", ""):
        await report.say(word)
    await report.used("search", {"for": "x"}, {"found": 1})
    await report.say("three")
    first = report.take()
    await report.progress("nearly", 90)
    await report.say("!")
    facts = [*first, *report.take()]
    assert [type(fact) for fact in facts] == [RunDelta, RunToolCalled, RunDelta, RunProgress, RunDelta]
    deltas = [fact for fact in facts if isinstance(fact, RunDelta)]
    assert [(delta.seq, delta.offset, delta.text) for delta in deltas] == [
        (1, 0, "one two "),
        (2, 8, "three"),
        (3, 13, "!"),
    ]
    assert report.text == "one two three!"


async def test_tools_are_numbered_and_kept_exactly() -> None:
    report = a_report()
    await report.used("a", {"x": [1, {"y": None}]}, {"ok": True})
    await report.used("b", {}, status="failed")
    calls = report.take()
    assert [(call.seq, call.tool, call.parameters, call.result, call.status) for call in calls] == [  # type: ignore[attr-defined]  # RunToolCalled
        (1, "a", {"x": [1, {"y": None}]}, {"ok": True}, "succeeded"),
        (2, "b", {}, None, "failed"),
    ]


async def test_who_says_more_than_is_taken_must_wait() -> None:
    report = a_report()
    await report.say("x" * 70_000)
    talking = asyncio.create_task(report.say("y"))
    await asyncio.sleep(0.01)
    assert not talking.done()
    assert len(report.take()) == 1
    await talking
    assert [fact.text for fact in report.take() if isinstance(fact, RunDelta)] == ["y"]


async def test_what_was_said_is_remembered_up_to_a_bound() -> None:
    report = a_report()
    for _ in range(20):
        await report.say("x" * 60_000)
        report.take()
    assert 512 * 1024 <= len(report.text) < 600_000


async def test_text_that_waits_alone_waits_for_company_and_other_facts_do_not() -> None:
    report = a_report()
    await report.say("a")
    assert report.pause() == 0
    report.take()
    await report.say("b")
    assert 0 < report.pause() <= 0.025
    await report.progress("c")
    assert report.pause() == 0


async def test_texts_that_no_event_can_carry_are_mended() -> None:
    report = a_report()
    await report.say("a\ud800b")
    await report.used("t\udfff", {"k\ud800": "v\udfff"})
    delta, call = report.take()
    assert isinstance(delta, RunDelta)
    assert isinstance(call, RunToolCalled)
    assert (delta.text, call.tool, call.parameters) == ("a?b", "t?", {"k?": "v?"})


@pytest.mark.parametrize("spent", [{"tokens": 101}, {"cost_usd": 0.6}])
async def test_spending_more_than_the_task_may_cost_is_an_error(spent: dict[str, float]) -> None:
    report = a_report(max_tokens=100, max_cost_usd=0.5)
    report.spent(tokens=50)
    with pytest.raises(BudgetExceededError):
        report.spent(**spent)  # type: ignore[arg-type]  # one of the two


async def test_what_no_fact_can_say_fails_for_good() -> None:
    report = a_report()
    with pytest.raises(RefusedWordsError) as refused:
        await report.progress("done twice over", percent=200)
    assert (refused.value.code, refused.value.retryable) == ("invalid_request", False)
    assert report.take() == []
