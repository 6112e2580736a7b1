"""What an outside agent may say of its own run."""

import json

import pytest
from pydantic import ValidationError

from events.ids import new_id
from events.run import Usage
from gateway.agents.facts import FinishedSaid, ProgressSaid


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
