"""The workflow's rules: its draft changes by approval and discard only, its versions are numbered and stay."""

from datetime import timedelta
from uuid import UUID

import pytest

from consumers.keeper.state import TaskState
from consumers.keeper.workflow_state import WorkflowState
from events import WorkflowChanged, WorkflowControl
from events.files import sha256_of
from tests.support.ledger import Ledger

ONE = {"plan.md": "one\n"}
TWO = {"plan.md": "two\n"}


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def state(ledger: Ledger, workflow_id: UUID) -> WorkflowState:
    return ledger.get(WorkflowState, workflow_id)


def test_a_workflow_begins_with_the_files_it_is_given(ledger: Ledger) -> None:
    workflow_id = ledger.workflow(ONE)
    found = state(ledger, workflow_id)
    assert (found.name, found.version, found.draft_version, found.published) == ("Greeter", 1, 1, None)
    assert ledger.draft(workflow_id) == {"plan.md": sha256_of("one\n")}
    assert [row[3] for row in ledger.rows["texts"].values()] == [b"one\n"]
    assert ledger.names() == ["workflow.changed"]
    command = WorkflowControl(workflow_id=workflow_id, action="create", by="o", name="Again")
    assert ledger.say(command) == "refused:workflow_exists"


def test_publishing_numbers_versions_and_each_only_once(ledger: Ledger) -> None:
    workflow_id = ledger.workflow(ONE)
    assert ledger.control(workflow_id, "publish") == "applied"
    assert ledger.control(workflow_id, "publish") == "refused:nothing_new"
    ledger.proposed(workflow_id, TWO).decide("approve")
    assert ledger.control(workflow_id, "publish") == "applied"
    found = state(ledger, workflow_id)
    assert (found.published, found.draft_version, found.version) == (2, 2, 4)
    assert [row[:2] for row in ledger.rows["published"].values()] == [(workflow_id, 1), (workflow_id, 2)]


def test_an_empty_draft_is_not_published(ledger: Ledger) -> None:
    assert ledger.control(ledger.workflow(), "publish") == "refused:empty_draft"


def test_a_discarded_draft_is_what_was_published_and_supersedes_what_was_made_for_it(ledger: Ledger) -> None:
    workflow_id = ledger.workflow(ONE)
    ledger.control(workflow_id, "publish")
    ledger.proposed(workflow_id, TWO).decide("approve")
    waiting = ledger.proposed(workflow_id, {"other.md": "x"})
    assert ledger.control(workflow_id, "discard") == "applied"
    assert ledger.draft(workflow_id) == {"plan.md": sha256_of("one\n")}
    assert (waiting.proposal.status, waiting.proposal.reason) == ("superseded", "base_moved")
    assert ledger.names()[-2:] == ["workflow.changed", "proposal.superseded"]


def test_discarding_an_untouched_draft_is_no_change(ledger: Ledger) -> None:
    workflow_id = ledger.workflow()
    before, announced = state(ledger, workflow_id), len(ledger.announced)
    assert ledger.control(workflow_id, "discard") == "applied"
    assert (state(ledger, workflow_id), len(ledger.announced)) == (before, announced)


@pytest.mark.parametrize("action", ["publish", "discard"])
def test_who_saw_another_draft_changes_nothing(ledger: Ledger, action: str) -> None:
    workflow_id = ledger.workflow(ONE)
    ledger.proposed(workflow_id, TWO).decide("approve")
    assert ledger.control(workflow_id, action, expected_version=1) == "refused:stale_version"
    assert ledger.control(workflow_id, action, expected_version=2) == "applied"


@pytest.mark.parametrize("whose", [{"owner": "stranger"}, {"tenant": "elsewhere"}])
def test_nobody_changes_somebody_elses_workflow(ledger: Ledger, whose: dict[str, str]) -> None:
    workflow_id = ledger.workflow(ONE)
    for action in ("publish", "discard"):
        command = WorkflowControl.model_validate({"workflow_id": workflow_id, "action": action, "by": "stranger"})
        assert ledger.say(command, **whose) == "refused:unknown_workflow"


def test_a_lock_keeps_everybody_else_out_until_it_is_over(ledger: Ledger) -> None:
    workflow_id = ledger.workflow(ONE)
    waiting = ledger.proposed(workflow_id, TWO)
    assert ledger.control(workflow_id, "lock", ttl_seconds=60, by="eve") == "applied"
    assert state(ledger, workflow_id).locked_by == "eve"
    changed = ledger.announced[-1].data
    assert isinstance(changed, WorkflowChanged)
    assert (changed.action, changed.locked_by) == ("lock", "eve")
    for action in ("publish", "discard", "deploy", "lock"):
        assert ledger.control(workflow_id, action, number=1) == "refused:workflow_locked", action
    assert waiting.decide("approve") == "refused:workflow_locked"
    refused = ledger.request(workflow_id)
    task = ledger.get(TaskState, refused.task_id)
    assert (task.status, task.reason, refused.proposal.status) == ("failed", "workflow_locked", "processing")
    assert ledger.control(workflow_id, "publish", by="eve") == "applied"
    ledger.at += timedelta(seconds=61)
    assert ledger.control(workflow_id, "deploy", number=1) == "applied"
    assert waiting.decide("approve") == "applied"


def test_who_holds_a_lock_holds_it_for_longer_and_its_owner_may_always_take_it_away(ledger: Ledger) -> None:
    workflow_id = ledger.workflow(ONE)
    ledger.control(workflow_id, "lock", ttl_seconds=60, by="eve")
    first = state(ledger, workflow_id).locked_until
    assert ledger.control(workflow_id, "lock", ttl_seconds=120, by="eve") == "applied"
    later = state(ledger, workflow_id).locked_until
    assert first is not None
    assert later is not None
    assert later > first
    assert ledger.control(workflow_id, "unlock", by="mallory") == "refused:workflow_locked"
    for _ in range(2):
        assert ledger.control(workflow_id, "unlock") == "applied"
    assert state(ledger, workflow_id).locked_until is None
    assert [event.data.action for event in ledger.announced if isinstance(event.data, WorkflowChanged)] == [
        *("create", "lock", "lock", "unlock")
    ]


def test_a_published_version_is_deployed_and_no_other(ledger: Ledger) -> None:
    workflow_id = ledger.workflow(ONE)
    assert ledger.control(workflow_id, "deploy", number=1) == "refused:unknown_version"
    ledger.control(workflow_id, "publish")
    assert ledger.control(workflow_id, "deploy") == "refused:unknown_version"
    announced = len(ledger.announced)
    for _ in range(2):
        assert ledger.control(workflow_id, "deploy", number=1) == "applied"
    found = state(ledger, workflow_id)
    assert (found.deployed, found.deployed_by, found.version) == (1, "o", 3)
    assert len(ledger.announced) == announced + 1
    ledger.proposed(workflow_id, TWO).decide("approve")
    ledger.control(workflow_id, "publish")
    assert (state(ledger, workflow_id).published, state(ledger, workflow_id).deployed) == (2, 1)
