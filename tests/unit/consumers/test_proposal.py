"""The proposal's rules: what is approved is what was shown, once, and nothing is left open for ever."""

from datetime import timedelta

import pytest

from consumers.keeper.fold import MAX_BODY
from consumers.keeper.proposal import MAX_PENDING
from consumers.keeper.workflow_state import WorkflowState, digests
from events import File, ProposalDecide, ProposalShare, Snapshot, TaskCancelled, TaskControl
from events.codec import encode
from events.files import MAX_FILE_BYTES, digest_of, sha256_of
from tests.support.ledger import Ledger

ONE = {"plan.md": "one\n"}
TWO = {"plan.md": "two\n", "THE_SPEC/requirements.md": "must\n"}


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def shas(files: dict[str, str]) -> dict[str, str]:
    return {path: sha256_of(text) for path, text in files.items()}


def test_a_proposal_is_there_as_soon_as_it_is_asked_for(ledger: Ledger) -> None:
    found = ledger.request(ledger.workflow(ONE)).proposal
    assert (found.status, digests(found.base_files), found.base_version) == ("processing", shas(ONE), 1)


def test_the_last_snapshot_of_a_run_that_ended_well_becomes_pending(ledger: Ledger) -> None:
    refinement = ledger.request(ledger.workflow())
    refinement.run([{"draft.md": "x"}, ONE, TWO])
    assert refinement.proposal.status == "extracting"
    assert refinement.extract() == "applied"
    found = refinement.proposal
    assert (found.status, digests(found.files or {}), found.digest) == ("pending", shas(TWO), digest_of(shas(TWO)))
    assert found.expires_at == ledger.at + timedelta(hours=24)
    assert ledger.names()[-2:] == ["proposal.extracting", "proposal.pending"]


def test_a_run_that_crashes_after_five_snapshots_and_ends_with_three_leaves_the_second_ones_files(
    ledger: Ledger,
) -> None:
    refinement = ledger.request(ledger.workflow())
    refinement.start()
    for seq in range(1, 6):
        refinement.snapshot(seq, {f"{n}.md": "first" for n in range(seq)})
    refinement.crash()
    second = [{f"{n}.md": "second" for n in range(seq)} for seq in range(1, 4)]
    refinement.run(second)
    refinement.extract()
    assert digests(refinement.proposal.files or {}) == shas(second[-1])


def test_a_second_attempt_that_ends_without_files_does_not_leave_the_first_ones(ledger: Ledger) -> None:
    refinement = ledger.request(ledger.workflow())
    refinement.start()
    refinement.snapshot(1, ONE)
    refinement.crash()
    refinement.run([])
    assert (refinement.proposal.status, refinement.proposal.reason) == ("expired", "no_files")


def test_a_snapshot_of_an_execution_that_is_over_changes_nothing(ledger: Ledger) -> None:
    refinement = ledger.request(ledger.workflow())
    refinement.start()
    refinement.snapshot(1, ONE)
    refinement.crash()
    refinement.attempt = 1
    assert refinement.snapshot(2, TWO) == "refused:stale_run"
    refinement.attempt = 2
    refinement.run([ONE])
    assert refinement.snapshot(9, TWO) == "refused:not_running"
    assert digests(refinement.proposal.files or {}) == shas(ONE)


def test_a_snapshot_out_of_order_is_refused(ledger: Ledger) -> None:
    refinement = ledger.request(ledger.workflow())
    refinement.start()
    assert refinement.snapshot(2, TWO) == "applied"
    assert refinement.snapshot(2, ONE) == "refused:stale_snapshot"
    assert refinement.snapshot(1, ONE) == "refused:stale_snapshot"
    assert digests(refinement.proposal.files or {}) == shas(TWO)


def test_a_text_may_be_named_instead_of_repeated_if_the_execution_or_the_draft_has_it(ledger: Ledger) -> None:
    refinement = ledger.request(ledger.workflow(ONE))
    refinement.start()
    old, large, new = (File.of("x.md", text) for text in (ONE["plan.md"], "large " * 9, "never said"))
    refinement.snapshot(0, {"large.md": large}, part=True)
    named = {
        path: file.model_copy(update={"content": None, "ref": "earlier"})
        for path, file in {"plan.md": old, "large.md": large, "new.md": new}.items()
    }
    assert refinement.snapshot(1, named) == "refused:unknown_reference"
    del named["new.md"]
    assert refinement.snapshot(2, named) == "applied"
    assert set(ledger.rows["texts"]) == {("t", old.sha256), ("t", large.sha256)}


def test_a_snapshot_beyond_its_bounds_is_refused(ledger: Ledger) -> None:
    refinement = ledger.request(ledger.workflow())
    refinement.start()
    large = File.of("x.md", "x" * MAX_FILE_BYTES)
    refinement.snapshot(0, {"x.md": large}, part=True)
    six = {f"{n}.md": large.model_copy(update={"content": None, "ref": "part"}) for n in range(7)}
    assert refinement.snapshot(1, six) == "refused:snapshot_too_large"


def test_a_run_that_names_a_snapshot_that_never_came_is_not_taken_for_finished(ledger: Ledger) -> None:
    refinement = ledger.request(ledger.workflow())
    refinement.start()
    refinement.snapshot(1, ONE)
    lost = Snapshot(event_id="lost", seq=2, digest=digest_of(shas(TWO)))
    assert refinement.finish(snapshot=lost) == "refused:snapshot_missing"
    assert refinement.task.status == "running"


@pytest.mark.parametrize("end", ["no files", "cancelled"])
def test_a_task_without_files_or_that_is_cancelled_closes_its_proposal(ledger: Ledger, end: str) -> None:
    refinement = ledger.request(ledger.workflow())
    refinement.start()
    if end == "cancelled":
        refinement.snapshot(1, ONE)
        ledger.say(TaskControl(task_id=refinement.task_id, action="cancel", by="o"))
    else:
        refinement.finish()
    found = refinement.proposal
    assert (found.status, found.reason) == ("expired", "no_files" if end == "no files" else "task_cancelled")
    assert refinement.decide("approve") == "refused:already_decided"
    assert isinstance(ledger.announced[-2].data, TaskCancelled) is (end == "cancelled")


def test_only_the_snapshot_of_the_finished_execution_is_taken(ledger: Ledger) -> None:
    refinement = ledger.request(ledger.workflow())
    refinement.run([ONE])
    assert refinement.extract(execution_id=refinement.task_id) == "refused:stale_snapshot"
    other = Snapshot(event_id=refinement.proposal.snapshot_id or "", seq=1, digest="0" * 64)
    assert refinement.extract(snapshot=other) == "refused:digest_mismatch"
    assert refinement.extract() == "applied"
    assert refinement.extract() == "refused:already_extracted"


def test_an_approval_makes_the_draft_what_was_proposed_and_removes_the_rest(ledger: Ledger) -> None:
    workflow_id = ledger.workflow({**ONE, "old.md": "gone"})
    refinement = ledger.proposed(workflow_id, TWO)
    assert refinement.decide("approve", digest=digest_of(shas(TWO))) == "applied"
    assert ledger.draft(workflow_id) == shas(TWO)
    approved, changed = (event.data for event in ledger.announced[-2:])
    assert (approved.applied, approved.removed) == (  # type: ignore[attr-defined]  # a ProposalApproved, as named
        ("THE_SPEC/requirements.md", "plan.md"),
        ("old.md",),
    )
    assert (changed.draft_version, changed.version) == (2, 2)  # type: ignore[attr-defined]  # a WorkflowChanged
    assert ledger.names()[-2:] == ["proposal.approved", "workflow.changed"]


def test_a_rejection_leaves_the_draft_as_it_was(ledger: Ledger) -> None:
    workflow_id = ledger.workflow(ONE)
    refinement = ledger.proposed(workflow_id, TWO)
    assert refinement.decide("reject", reason="Too long.") == "applied"
    assert (ledger.draft(workflow_id), refinement.proposal.reason) == (shas(ONE), "Too long.")


def test_a_stale_digest_approves_nothing(ledger: Ledger) -> None:
    refinement = ledger.proposed(ledger.workflow(), TWO)
    assert refinement.decide("approve", digest=digest_of(shas(ONE))) == "refused:stale_digest"
    assert refinement.proposal.status == "pending"


@pytest.mark.parametrize("first", ["approve", "reject"])
@pytest.mark.parametrize("second", ["approve", "reject", "expire"])
def test_what_is_decided_stays_decided(ledger: Ledger, first: str, second: str) -> None:
    refinement = ledger.proposed(ledger.workflow(), TWO)
    refinement.decide(first)
    before = refinement.proposal
    source = "/janitor" if second == "expire" else "/gateway"
    assert refinement.decide(second, "other", source=source) == "refused:already_decided"
    assert refinement.proposal == before


def test_nothing_is_decided_before_it_is_there(ledger: Ledger) -> None:
    refinement = ledger.request(ledger.workflow())
    assert refinement.decide("approve") == "refused:not_ready"
    refinement.run([ONE])
    assert refinement.decide("reject") == "refused:not_ready"


def test_only_the_clock_lets_a_proposal_expire(ledger: Ledger) -> None:
    refinement = ledger.proposed(ledger.workflow(), ONE)
    assert refinement.decide("expire") == "refused:not_allowed"
    assert refinement.decide("expire", source="/janitor") == "applied"
    assert refinement.proposal.status == "expired"
    assert refinement.decide("approve") == "refused:already_decided"


def test_an_approval_supersedes_those_made_for_the_old_draft_and_says_what_differs(ledger: Ledger) -> None:
    workflow_id = ledger.workflow(ONE)
    chosen, late = ledger.proposed(workflow_id, TWO), ledger.request(workflow_id)
    other = ledger.proposed(workflow_id, {"other.md": "x"})
    assert chosen.decide("approve") == "applied"
    assert (other.proposal.status, other.proposal.reason) == ("superseded", "base_moved")
    assert other.proposal.conflicts == ("THE_SPEC/requirements.md", "plan.md")
    assert other.decide("approve") == "refused:superseded"
    late.run([ONE])
    late.extract()
    assert (late.proposal.status, late.proposal.conflicts) == ("superseded", ("THE_SPEC/requirements.md", "plan.md"))
    assert ledger.get(WorkflowState, workflow_id).open_proposals == ()
    assert ledger.draft(workflow_id) == shas(TWO)


def test_an_approval_that_changes_nothing_leaves_its_siblings_alone(ledger: Ledger) -> None:
    workflow_id = ledger.workflow(ONE)
    same, other = ledger.proposed(workflow_id, ONE), ledger.proposed(workflow_id, TWO)
    assert same.decide("approve") == "applied"
    assert other.proposal.status == "pending"
    assert other.decide("approve") == "applied"


def test_undecided_proposals_are_bounded(ledger: Ledger) -> None:
    workflow_id = ledger.workflow()
    made = [ledger.proposed(workflow_id, ONE) for _ in range(MAX_PENDING + 1)]
    assert (made[0].proposal.status, made[0].proposal.reason) == ("superseded", "too_many")
    assert len(ledger.get(WorkflowState, workflow_id).open_proposals) == MAX_PENDING


def test_the_approval_of_many_long_paths_is_no_larger_than_the_bus_takes(ledger: Ledger) -> None:
    folders = "/".join(["漢" * 80] * 6)
    old, new = ({f"{name}{number}/{folders}": "x" for number in range(450)} for name in ("old", "new"))
    workflow_id = ledger.workflow(old)
    assert ledger.proposed(workflow_id, new).decide("approve") == "applied"
    assert len(ledger.draft(workflow_id)) == len(new)
    assert max(len(encode(event)) for event in ledger.announced) <= MAX_BODY


@pytest.mark.parametrize("whose", [{"owner": "stranger"}, {"tenant": "elsewhere"}])
def test_a_refinement_of_somebody_elses_workflow_fails_and_leaves_no_trace(
    ledger: Ledger, whose: dict[str, str]
) -> None:
    refinement = ledger.request(ledger.workflow(), **whose)
    assert (refinement.task.status, refinement.task.reason) == ("failed", "unknown_workflow")
    again = TaskControl(task_id=refinement.task_id, action="retry", by="stranger")
    assert ledger.say(again, tenant=whose.get("tenant", "t")) == "refused:was_refused"
    assert "proposed" not in ledger.rows
    assert ledger.request(None).task.status == "failed"


def test_nobody_decides_or_shares_what_is_not_theirs(ledger: Ledger) -> None:
    refinement = ledger.proposed(ledger.workflow(), ONE)
    before = refinement.proposal
    said = {"proposal_id": before.id, "task_id": refinement.task_id, "by": "stranger"}
    decide = ProposalDecide.model_validate({**said, "decision": "approve"})
    share = ProposalShare.model_validate({**said, "grantee": "stranger", "access": "owner"})
    for data in (decide, share):
        assert ledger.say(data, owner="stranger") == "refused:unknown_proposal"
        assert ledger.say(data, tenant="elsewhere") == "refused:unknown_proposal"
    assert refinement.proposal == before
    assert "shared" not in ledger.rows
