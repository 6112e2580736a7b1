"""Why a workflow or a proposal was not changed, and what the client needs to know to go on."""

from collections.abc import Mapping

from events.errors import PermanentError
from gateway.errors import LockedError, NotFoundError, RefusedError, StaleDigestError
from gateway.workflows.views import proposal_status
from storage.proposals import ProposalRow


class NotReadyError(RefusedError):
    """The proposal's files are not there yet: its refinement is not over."""

    code = "not_ready"
    retryable = True


class NeverReadyError(NotReadyError):
    """The refinement came to no files; the proposal's `error` says why."""

    retryable = False


def not_ready(row: ProposalRow) -> NotReadyError:
    """Why there is nothing to look at or to decide."""
    return NeverReadyError() if proposal_status(row) == "failed" else NotReadyError()


class AlreadyDecidedError(RefusedError):
    """The proposal was decided before; `resolution`, `resolved_by` and `resolved_at` say how."""

    code = "already_decided"

    def __init__(self, row: ProposalRow) -> None:
        super().__init__()
        self.members = {
            "resolution": row.status,
            "resolved_by": row.decided_by,
            "resolved_at": row.decided_at,
            "reason": row.reason,
        }


class BaseMovedError(RefusedError):
    """The draft is not what the proposal was made for any more; `conflicts` are the paths that differ."""

    code = "base_moved"

    def __init__(self, row: ProposalRow) -> None:
        super().__init__()
        self.members = {"conflicts": list(row.conflicts or ()), "base_version": row.base_version, "reason": row.reason}


class StaleVersionError(RefusedError):
    """The draft has another version than the one named by `expected_version`."""

    code = "stale_version"


class EmptyDraftError(RefusedError):
    """There is nothing in the draft to publish."""

    code = "empty_draft"


class NothingNewError(RefusedError):
    """The draft is what was published last."""

    code = "nothing_new"


class OwnAccessError(RefusedError):
    """The proposal's owner has every access already."""

    code = "is_owner"


_OF_WORKFLOWS: Mapping[str, type[PermanentError]] = {
    "unknown_workflow": NotFoundError,
    "stale_version": StaleVersionError,
    "empty_draft": EmptyDraftError,
    "nothing_new": NothingNewError,
    "unknown_version": NotFoundError,
    LockedError.code: LockedError,
}


def workflow_refusal(code: str) -> PermanentError:
    """The error for a refused command about a workflow."""
    return _OF_WORKFLOWS[code]() if code in _OF_WORKFLOWS else RefusedError(f"It was refused ({code}).")


_OF_PROPOSALS: Mapping[str, type[PermanentError]] = {
    "unknown_proposal": NotFoundError,
    "stale_digest": StaleDigestError,
    "is_owner": OwnAccessError,
    LockedError.code: LockedError,
}


def proposal_refusal(code: str, row: ProposalRow) -> PermanentError:
    """The error for a refused command about a proposal, which is as `row` says now."""
    if code == "not_ready":
        return not_ready(row)
    if code in _OF_PROPOSALS:
        return _OF_PROPOSALS[code]()
    if code == "superseded" and row.reason == "base_moved":
        return BaseMovedError(row)
    if code in ("superseded", "already_decided"):
        return AlreadyDecidedError(row)
    return RefusedError(f"It was refused ({code}).")
