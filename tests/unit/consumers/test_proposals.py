"""The proposals consumer: one event in, one out, whatever the database says meanwhile."""

from dataclasses import dataclass, replace
from uuid import UUID

import pytest

from consumers.proposals import FilesMissingError, Proposals, summary_of
from events import Event, EventData, FileSummary, ProposalExtracted, ProposalExtracting
from events.files import digest_of, sha256_of
from events.ids import new_id
from storage.specifications import LeftFiles
from tests.support.lookups import NoLookup

TASK, PROPOSAL, WORKFLOW = new_id(), new_id(), new_id()


def files(**texts: str) -> dict[str, FileSummary]:
    return {
        f"{name}.md": FileSummary(sha256=sha256_of(text), size=len(text), media_type="text/markdown")
        for name, text in texts.items()
    }


LEFT = LeftFiles(
    proposal_id=PROPOSAL,
    workflow_id=WORKFLOW,
    status="extracting",
    run_id=new_id(),
    execution_id=new_id(),
    snapshot_id="event",
    snapshot_seq=3,
    files=files(plan="two", cast="new"),
    base=files(plan="one", old="gone"),
    base_version=1,
)


@dataclass
class Rows(NoLookup):
    """What the database has."""

    left: LeftFiles | None

    async def left_files(self, task_id: UUID) -> LeftFiles | None:
        assert task_id == TASK
        return self.left


def extracting() -> Event[EventData]:
    data = ProposalExtracting(
        proposal_id=PROPOSAL, task_id=TASK, workflow_id=WORKFLOW, version=2, digest="d", base_version=1
    )
    return Event.first(data, source="/keeper", tenant="t", owner="o", task_id=TASK)


async def test_the_last_snapshot_becomes_the_proposal() -> None:
    (said,) = await Proposals(Rows(LEFT)).extract(extracting())
    assert isinstance(said, ProposalExtracted)
    assert (said.proposal_id, said.task_id, said.execution_id) == (PROPOSAL, TASK, LEFT.execution_id)
    assert said.files == LEFT.files
    assert said.snapshot.digest == digest_of({"plan.md": sha256_of("two"), "cast.md": sha256_of("new")})
    assert said.summary == "2 files: 1 added, 1 changed, 1 removed"


async def test_a_redelivery_after_the_fact_says_nothing() -> None:
    for status in ("pending", "approved", "expired"):
        assert not await Proposals(Rows(replace(LEFT, status=status))).extract(extracting())


async def test_files_that_are_not_there_yet_are_waited_for() -> None:
    with pytest.raises(FilesMissingError) as caught:
        await Proposals(Rows(None)).extract(extracting())
    assert caught.value.retryable


def test_a_summary_counts_what_changes() -> None:
    assert summary_of(replace(LEFT, files=LEFT.base)) == "2 files, nothing changes"
    assert summary_of(replace(LEFT, files=files(plan="one"), base={})) == "1 file: 1 added"
