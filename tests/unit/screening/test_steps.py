"""Steps of a plan carry our own words to an agent, and are screened: none of them may look like an attack."""

import pytest

from consumers.planner import patterns
from consumers.planner.knowledge import Phase, load
from screening import Screener

GOAL = "Prepare the relaunch of the club shop."
PHASES = [
    *(phase for template in load().templates for phase in template.phases),
    *(step for rule in load().rules for step in rule.steps),
    *load().strategies.temporal.phases,
    *patterns.functional("expert", "trivial").phases,
    *patterns.by_capability(tuple(dict.fromkeys(load().capabilities.words.values()))).phases,
]


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name)
def test_the_words_of_a_step_pass(screener: Screener, phase: Phase) -> None:
    inner = f"{GOAL}\n\nDo only step 10 of 10, implementation: Do it as it was designed."
    for text in (GOAL, inner):
        verdict = screener.screen(
            {"goal": f"{text}\n\nDo only step 1 of 3, {phase.name}: {phase.description}"}, kind="subtask", tenant="t"
        )
        assert (verdict.decision, verdict.findings) == ("allow", ())
