"""Snapshots of a running refinement: which are taken, and what is kept of them.

Each replaces the one before; an execution that begins anew starts with nothing.
"""

from consumers.keeper.workflow_rows import blob_row
from consumers.keeper.workflow_state import ProposalState, digests
from consumers.keeper.world import RefusedError, World
from events.files import MAX_TOTAL_BYTES, digest_of
from events.proposal import FileSummary
from events.run import RunFiles, RunFinished


def refuse_unusable(found: ProposalState, data: RunFiles) -> None:
    """Raise RefusedError for a snapshot that is older than the one kept, too large, or refers to no known text."""
    if found.status != "processing":
        raise RefusedError("not_running")
    same = found.execution_id == data.execution_id
    if same and not data.part and found.snapshot_seq is not None and data.snapshot_seq <= found.snapshot_seq:
        raise RefusedError("stale_snapshot")
    if sum(file.size for file in data.files.values()) > MAX_TOTAL_BYTES:
        raise RefusedError("snapshot_too_large")
    known = {file.sha256 for file in found.base_files.values()}
    if same:
        known |= found.parts.keys() | {file.sha256 for file in (found.files or {}).values()}
    if any(file.content is None and file.sha256 not in known for file in data.files.values()):
        raise RefusedError("unknown_reference")


def noted_snapshot(found: ProposalState, data: RunFiles, world: World, event_id: str) -> ProposalState:
    """The proposal with this snapshot as its last one; the texts go into rows of their own."""
    for file in data.files.values():
        if file.content is not None:
            world.add("texts", (found.tenant, file.sha256), blob_row(found.tenant, file.content))
    if found.execution_id != data.execution_id:
        found = found._replace(
            execution_id=data.execution_id,
            run_id=data.run_id,
            snapshot_id=None,
            snapshot_seq=None,
            files=None,
            parts={},
        )
    if data.part:
        return found._replace(parts={**found.parts, **{file.sha256: file.size for file in data.files.values()}})
    return found._replace(
        snapshot_id=event_id,
        snapshot_seq=data.snapshot_seq,
        files={
            path: FileSummary(sha256=file.sha256, size=file.size, media_type=file.media_type)
            for path, file in data.files.items()
        },
    )


def names_what_is_known(found: ProposalState, data: RunFinished) -> bool:
    """Whether the snapshot that a run says it ended with is the last one kept."""
    named = data.snapshot
    if named is None or found.files is None or found.execution_id != data.execution_id:
        return False
    return named.seq == found.snapshot_seq and named.digest == digest_of(digests(found.files))
