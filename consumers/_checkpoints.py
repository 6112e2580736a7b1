"""What a new attempt is given of the one before it: the task's checkpoint, unless there is none, or it does not fit."""

from events.work import MAX_WORK, WorkCheckpoint
from storage.checkpoints import GivenCheckpoint
from storage.lookup import Lookup, TaskView

MARGIN = 100_000
"""Bytes of a message of 1 MiB beyond MAX_WORK that a checkpoint may take; contexts and results come before it."""


async def given_to(task: TaskView, lookup: Lookup) -> GivenCheckpoint | None:
    """The checkpoint; nothing is looked up for a first attempt. Raises StoreUnavailableError."""
    return await lookup.checkpoint(task.id) if task.attempt > 1 else None


def as_work(given: GivenCheckpoint | None, taken: int) -> WorkCheckpoint | None:
    """The same beside `taken` bytes of other work; without its data where that is too much for one message."""
    if given is None:
        return None
    data = given.data if taken + given.size <= MAX_WORK + MARGIN else None
    return WorkCheckpoint(seq=given.seq, note=given.note, data=data)
