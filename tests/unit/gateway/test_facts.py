"""What an outside agent may say of its own run."""

import json

import pytest
from pydantic import ValidationError

from events.ids import new_id
from events.run import RunFinished, Usage
from gateway.agents.facts import FilesSaid, FinishedSaid, ProgressSaid, RunSaid, StartedSaid, ToolCalledSaid


def _said(usage: dict[str, float]) -> str:
    return json.dumps({"task_id": str(new_id()), "attempt": 1, "execution_id": str(new_id()), "usage": usage})


@pytest.mark.parametrize("usage", [{"tokens": -1}, {"cost_usd": -0.5}, {"ms": -1}, {"tokens": 2**63}, {"ms": 1e308}])
def test_nobody_spends_less_than_nothing_or_more_than_can_be_counted(usage: dict[str, float]) -> None:
    finished = {**json.loads(_said(usage)), "outcome": "succeeded"}
    with pytest.raises(ValidationError):
        FinishedSaid.model_validate_json(json.dumps(finished))
    with pytest.raises(ValidationError):
        ProgressSaid.model_validate_json(json.dumps({**json.loads(_said(usage)), "seq": 1}))


def test_what_was_spent_is_said_as_it_was() -> None:
    said = ProgressSaid.model_validate_json(json.dumps({**json.loads(_said({"tokens": 7, "ms": 1.5})), "seq": 1}))
    assert said.usage is not None
    assert Usage(**said.usage.model_dump()) == Usage(tokens=7, ms=1.5)


def _failed(code: object) -> str:
    error = {"code": code, "message": "It did not work."}
    return json.dumps({**json.loads(_said({})), "outcome": "failed", "error": error})


@pytest.mark.parametrize(
    "code", ["", "x" * 65, "caller_lost", "no such file", "no\nfile", "no_file\n", "größe", "a/b", "\x00", 7, None]
)
def test_the_code_of_an_error_is_a_short_word(code: object) -> None:
    with pytest.raises(ValidationError) as caught:
        FinishedSaid.model_validate_json(_failed(code))
    assert [fault["loc"] for fault in caught.value.errors()] == [("error", "code")]


@pytest.mark.parametrize("code", ["no_such_file", "E-1.2", "x" * 64, "404"])
def test_a_code_for_programs_is_kept_as_it_was_said(code: str) -> None:
    said = FinishedSaid.model_validate_json(_failed(code))
    values = {name: getattr(said, name) for name in FinishedSaid.model_fields}
    kept = RunFinished(run_id=new_id(), agent_id="a", **values)
    assert kept.model_dump(mode="json")["error"] == {"code": code, "message": "It did not work.", "retryable": False}


def test_what_was_kept_before_codes_had_a_bound_can_still_be_read() -> None:
    old = {**json.loads(_failed("not a code, " * 40)), "run_id": str(new_id()), "agent_id": "a"}
    kept = RunFinished.model_validate_json(json.dumps(old))
    assert kept.error is not None
    assert kept.error.code.startswith("not a code")


@pytest.mark.parametrize("number", [0, 2**31, 10**30])
def test_a_number_that_no_row_holds_is_refused_before_it_is_an_event(number: int) -> None:
    named = {"task_id": str(new_id()), "attempt": 1, "execution_id": str(new_id())}
    facts: list[tuple[type[RunSaid], dict[str, object]]] = [
        (StartedSaid, {"attempt": number}),
        (ProgressSaid, {"seq": number}),
        (ToolCalledSaid, {"seq": number, "tool": "find"}),
        (FilesSaid, {"snapshot_seq": number, "files": {}}),
    ]
    for said, more in facts:
        with pytest.raises(ValidationError):
            said.model_validate_json(json.dumps({**named, **more}))
