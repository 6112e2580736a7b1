"""What one batch needs is loaded in few steps, whatever hangs together with what it names."""

from collections.abc import Sequence

import pytest

from consumers.keeper.fold import Fold, Inbound, presumed_new
from consumers.keeper.loading import AT_A_TIME, Foresight
from consumers.keeper.state import TaskState
from consumers.keeper.workflow_rows import proposal_row, workflow_row
from consumers.keeper.workflow_state import ProposalState, WorkflowState
from consumers.keeper.world import Key, MissingStateError, World
from events import Event, EventData, ProposalDecide, TaskSpec, TaskSubmitted, WorkflowControl
from events.codec import encode
from events.ids import new_id
from producers.reader import Delivery
from storage.keeper import KeeperStore
from storage.models import proposal, workflow
from storage.unnest import columns_of
from tests.support.ledger import Ledger

UNDECIDED = 40


class Kept(KeeperStore):
    """The rows of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.asked: list[int] = []

    async def load(self, table: str, ids: Sequence[object]) -> list[dict[str, object]]:
        self.asked.append(len(ids))
        found: list[dict[str, object]] = []
        for one in ids:
            if table == "proposal" and isinstance(
                made := self._ledger.states.get(Key(ProposalState, one)), ProposalState
            ):
                found.append(dict(zip(columns_of(proposal), proposal_row(made), strict=True)))
            if table == "workflow" and isinstance(
                has := self._ledger.states.get(Key(WorkflowState, one)), WorkflowState
            ):
                found.append(dict(zip(columns_of(workflow), workflow_row(has), strict=True)))
        return found


async def folded(ledger: Ledger, event: Event[EventData]) -> tuple[Fold, int]:
    """The event, folded as the keeper does it, and how often that was begun."""
    item = Inbound(Delivery(1, 1, "", encode(event), None), event)
    foresight = Foresight(Kept(ledger), {}, {})
    await foresight.foresee([item])
    for times in range(1, 2 * UNDECIDED):
        fold = Fold("e", World(foresight.states), 1)
        try:
            fold.take(item)
        except MissingStateError as missing:
            await foresight.missed(missing.key)
        else:
            return fold, times
    raise AssertionError("never folded")


@pytest.mark.parametrize("command", ["approve", "discard"])
async def test_all_proposals_that_a_change_of_the_draft_overtakes_are_loaded_at_once(command: str) -> None:
    ledger = Ledger()
    workflow_id = ledger.workflow({"plan.md": "one\n"})
    proposed = [ledger.proposed(workflow_id, {"plan.md": f"{place}\n"}).proposal for place in range(UNDECIDED)]
    chosen = proposed[7]
    data: EventData = ProposalDecide(proposal_id=chosen.id, task_id=chosen.task_id, decision="approve", by="o")
    if command == "discard":
        data = WorkflowControl(workflow_id=workflow_id, action="discard", by="o")
    event = Event.first(data, source="/gateway", tenant="t", owner="o", task_id=getattr(data, "task_id", None))
    fold, times = await folded(ledger, event)
    assert len(fold.outgoing) > UNDECIDED - 1
    assert times <= 3


async def test_many_states_are_loaded_in_parts_between_which_the_lease_can_be_kept() -> None:
    """A thousand tasks may wait for 64 others each."""
    kept = Kept(Ledger())
    wanted = [Key(TaskState, new_id()) for _ in range(2 * AT_A_TIME + 1)]
    foresight = Foresight(kept, {}, {})
    await foresight.load(wanted)
    assert kept.asked == [AT_A_TIME, AT_A_TIME, 1]
    assert set(foresight.states) == set(wanted)


def test_a_task_that_the_keeper_itself_asks_for_is_not_taken_for_a_new_one() -> None:
    """It may be forgotten since, and what is said of it in the same batch must find it."""
    task = new_id()
    data = TaskSubmitted(task_id=task, spec=TaskSpec(prompt="x"))
    asked = [
        Event.first(data, source=source, tenant="t", owner="o", task_id=task) for source in ("/gateway", "/keeper")
    ]
    new = [list(presumed_new([Inbound(Delivery(1, 0, "", encode(one), None), one)])) for one in asked]
    assert new == [[Key(TaskState, task)], []]
