"""The demo's inputs are what they claim to be before any server has seen them."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from cli.demo.sample import load
from screening.settings import ScreeningSettings


def test_there_are_at_least_twenty_requests_and_three_of_them_must_be_blocked() -> None:
    expectations = [sample.expect for sample in load()]
    assert expectations.count("blocked") == 3
    assert len(expectations) >= 23


def test_one_of_them_is_several_thousand_words_long_and_still_fits_the_context() -> None:
    longest = max((sample.context or "" for sample in load()), key=len)
    assert len(longest.split()) > 3000
    assert len(longest) <= 50_000


def test_screening_blocks_the_injections_and_nothing_else() -> None:
    screener = ScreeningSettings().screener()
    decisions = {
        sample.name: screener.screen(
            {"prompt": sample.goal, "context": sample.context or "", "criteria": "\n".join(sample.acceptance_criteria)},
            kind="goal",
            tenant="dev",
        ).decision
        for sample in load()
    }
    assert decisions == {s.name: "block" if s.expect == "blocked" else "allow" for s in load()}


def test_a_file_with_an_unknown_field_is_refused(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text("name: odd\ngoal: g\nexpect: succeeded\ncolour: green\n")
    with pytest.raises(ValidationError, match="colour"):
        load(tmp_path)
