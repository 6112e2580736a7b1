"""What a caller may see and do: its own workflows, its own proposals, and those shared with it."""

from uuid import UUID

from starlette.requests import Request

from gateway.auth.bearer import WRITE, Authenticator, Principal
from gateway.errors import ForbiddenError, LockedError, NotFoundError
from gateway.tasks.lookup import parsed_id
from gateway.workflows.views import is_locked
from storage.proposals import ProposalRow, find_proposal
from storage.reading import Database
from storage.workflows import WorkflowRow, find_workflow


class ViewerError(ForbiddenError):
    """You may look at this proposal; its owners decide."""

    code = "viewer_only"


def must_not_be_locked(principal: Principal, row: WorkflowRow) -> None:
    """Raise LockedError while somebody else holds the workflow's lock, as far as the database knows."""
    if row.locked_by not in (None, principal.owner) and is_locked(row):
        raise LockedError(row.locked_by, row.locked_until)


class Access:
    """Finds for a caller; what is not the caller's to see is not found."""

    def __init__(self, authenticator: Authenticator, engine: Database) -> None:
        self._authenticator = authenticator
        self._engine = engine

    async def principal(self, request: Request, scope: str) -> Principal:
        """The caller, who has this scope. Raises UnauthorizedError, MissingScopeError."""
        return await self._authenticator.caller(request, scope)

    async def workflow(self, principal: Principal, workflow_id: str) -> WorkflowRow:
        """The workflow. Raises NotFoundError, StoreUnavailableError."""
        row = await find_workflow(self._engine, parsed_id(workflow_id))
        if row is None or not principal.may_see(row.tenant, row.owner):
            raise NotFoundError
        return row

    async def to_change(self, request: Request, workflow_id: str) -> tuple[Principal, WorkflowRow]:
        """The caller, who may change things, and the workflow. Raises as the two above."""
        principal = await self.principal(request, WRITE)
        return principal, await self.workflow(principal, workflow_id)

    async def proposal(self, principal: Principal, proposal_id: UUID) -> ProposalRow:
        """The proposal. Raises NotFoundError, StoreUnavailableError."""
        row = await find_proposal(self._engine, proposal_id, principal.owner)
        if row is None or row.tenant != principal.tenant:
            raise NotFoundError
        if row.access is None and not principal.may_see(row.tenant, row.owner):
            raise NotFoundError
        return row

    async def own_proposal(self, principal: Principal, proposal_id: UUID) -> ProposalRow:
        """The proposal, if the caller may decide it. Raises ViewerError, NotFoundError, StoreUnavailableError."""
        row = await self.proposal(principal, proposal_id)
        if row.access != "owner" and not principal.may_see(row.tenant, row.owner):
            raise ViewerError
        return row
