"""Between a workflow or a proposal and its row: column order as in `storage.models.workflow`, JSON as text."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter
from pydantic_core import to_json

from consumers.keeper.rows import text
from consumers.keeper.workflow_state import ProposalState, WorkflowState, digests
from events.files import digest_of, sha256_of
from events.proposal import FileSummary
from storage.unnest import Row

_FILES = TypeAdapter(dict[str, FileSummary])
_IDS = TypeAdapter(tuple[UUID, ...])
_PATHS = TypeAdapter(tuple[str, ...])
_SIZES = TypeAdapter(dict[str, int])
_Readers = Mapping[str, Callable[[str], object]]
_WORKFLOW: _Readers = {
    "draft_files": _FILES.validate_json,
    "published_files": _FILES.validate_json,
    "open_proposals": _IDS.validate_json,
}
_PROPOSAL: _Readers = {
    "base_files": _FILES.validate_json,
    "files": _FILES.validate_json,
    "parts": _SIZES.validate_json,
    "conflicts": _PATHS.validate_json,
}


def workflow_of(values: dict[str, object]) -> WorkflowState:
    """The state of a row; takes the dictionary over."""
    return WorkflowState(**_loaded(values, _WORKFLOW))  # type: ignore[arg-type]  # columns and fields: see a test


def proposal_of(values: dict[str, object]) -> ProposalState:
    """The state of a row; takes the dictionary over."""
    return ProposalState(**_loaded(values, _PROPOSAL))  # type: ignore[arg-type]  # as above


def workflow_row(state: WorkflowState) -> Row:
    """The whole row."""
    return _row(state._replace(name=text(state.name) or "", description=text(state.description)), _WORKFLOW)


def proposal_row(state: ProposalState) -> Row:
    """The whole row."""
    return _row(state._replace(summary=text(state.summary), reason=text(state.reason)), _PROPOSAL)


def version_row(state: WorkflowState, number: int, by: str, at: datetime, event_id: str) -> Row:
    """The draft as it is, as a version; `event_id` is that of the command."""
    files = to_json(state.draft_files).decode()
    return (
        state.id,
        number,
        files,
        digest_of(digests(state.draft_files)),
        state.draft_version,
        text(by),
        at,
        text(event_id),
    )


def blob_row(tenant: str, content: str) -> Row:
    """A text under its digest."""
    encoded = content.encode()
    return (tenant, sha256_of(content), len(encoded), encoded)


def _loaded(values: dict[str, object], readers: _Readers) -> dict[str, object]:
    """The values with JSON columns read; asyncpg hands them over as text."""
    for name, read in readers.items():
        if values[name] is not None:
            values[name] = read(str(values[name]))
    return values


def _row(state: WorkflowState | ProposalState, in_json: Iterable[str]) -> Row:
    values = state._asdict()
    for name in in_json:
        if values[name] is not None:
            values[name] = to_json(values[name]).decode()
    return tuple(values.values())
