"""Proposals: what a finished refinement left becomes what a person decides. proposal.extracting -> proposal.extracted.

No client needs to listen: the files are in the database since the engine sent them, by whatever way it ended.
"""

from collections.abc import Mapping, Sequence

from consumers._runtime import Flow, Resources
from events.base import Event, EventData
from events.errors import TransientError
from events.files import Difference, compare, digest_of
from events.proposal import FileSummary, ProposalExtracted, ProposalExtracting
from events.run import Snapshot
from events.streams import PROPOSALS
from storage.lookup import Lookup
from storage.specifications import LeftFiles


class FilesMissingError(TransientError):
    """The files are not where the proposal's state says they are; both are committed together, so this passes."""

    code = "files_missing"


class Proposals:
    """Takes the last full snapshot of the execution that finished."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def extract(self, event: Event[EventData]) -> Sequence[EventData]:
        """The proposal of a finished refinement; nothing if it was extracted before."""
        data = event.data
        if not isinstance(data, ProposalExtracting):
            return ()
        left = await self._lookup.left_files(data.task_id)
        if left is None:
            raise FilesMissingError
        if left.status != data.status:
            return ()
        return [
            ProposalExtracted(
                proposal_id=left.proposal_id,
                task_id=data.task_id,
                run_id=left.run_id,
                execution_id=left.execution_id,
                snapshot=Snapshot(
                    event_id=left.snapshot_id, seq=left.snapshot_seq, digest=digest_of(_digests(left.files))
                ),
                summary=summary_of(left),
                files=dict(left.files),
            )
        ]


def summary_of(left: LeftFiles) -> str:
    """One line for a list: how many files there are, and what changes."""
    difference = compare(_digests(left.base), _digests(left.files))
    files = f"{len(left.files)} file{'s' if len(left.files) != 1 else ''}"
    return f"{files}: {_changes(difference)}" if difference.paths else f"{files}, nothing changes"


def _changes(difference: Difference) -> str:
    counts = {
        "added": len(difference.added),
        "changed": len(difference.changed),
        "removed": len(difference.removed),
    }
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def _digests(files: Mapping[str, FileSummary]) -> dict[str, str]:
    return {path: file.sha256 for path, file in files.items()}


def build(resources: Resources) -> Flow:
    """The consumer."""
    return Flow(PROPOSALS, Proposals(resources.lookup).extract)
