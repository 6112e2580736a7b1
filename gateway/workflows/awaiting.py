"""`Prefer: wait` on a refinement (RFC 7240, 4.3): the proposal as GET shows it, if it comes in time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from starlette.responses import Response

from events.errors import StoreUnavailableError
from events.ids import derived_id
from events.task import FINAL, GOOD
from gateway.auth.bearer import Principal
from gateway.errors import NotFoundError
from gateway.live.hub import Hub
from gateway.workflows.access import Access
from storage.proposals import COMING, ProposalRow

_LOOKS_FOR = 1.0

Show = Callable[[ProposalRow], Awaitable[Response]]


class Awaiting:
    """Waits until a refinement's proposal can be decided, or its task has ended without one."""

    def __init__(self, hub: Hub, access: Access, show: Show) -> None:
        self._hub = hub
        self._access = access
        self._show = show

    @contextmanager
    def of(self, task_id: UUID) -> Iterator["Ends"]:
        """To be entered before the refinement is asked for, so that no end comes too soon to be heard."""
        proposal_id = derived_id(task_id, "proposal")
        with self._hub.endings.awaited(str(task_id)) as ended, self._hub.endings.awaited(str(proposal_id)) as settled:
            yield Ends(proposal_id, ended, settled)

    async def answer(self, accepted: Response, ends: "Ends", principal: Principal, seconds: int) -> Response:
        """200 with the proposal, else the 202 there is."""
        accepted.headers["Preference-Applied"] = f"wait={seconds}"
        row = await self._settled(ends, principal, seconds)
        if row is None:
            return accepted
        try:
            answer = await self._show(row)
        except (StoreUnavailableError, NotFoundError):
            return accepted
        answer.headers["Preference-Applied"] = f"wait={seconds}"
        answer.headers["Content-Location"] = f"/api/proposals/{ends.proposal_id}"
        if "idempotency-replayed" in accepted.headers:
            answer.headers["Idempotency-Replayed"] = "true"
        return answer

    async def _settled(self, ends: "Ends", principal: Principal, seconds: int) -> ProposalRow | None:
        """The proposal, if it is over in time; that may have come while the hub began anew, and showed nothing."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._shown(ends, principal)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOKS_FOR):
                return await self._over(ends, principal)
        return None

    async def _shown(self, ends: "Ends", principal: Principal) -> ProposalRow | None:
        row = await self._over(ends, principal)
        if row is None:
            await asyncio.wait({ends.task, ends.proposal}, return_when=asyncio.FIRST_COMPLETED)
            row = await self._over(ends, principal)
        if row is None:  # the task has ended well, its files are being looked at
            await ends.proposal
            row = await self._over(ends, principal)
        return row

    async def _over(self, ends: "Ends", principal: Principal) -> ProposalRow | None:
        """The proposal, unless it is open still, or cannot be read: what is in the log only has no row yet."""
        try:
            row = await self._access.proposal(principal, ends.proposal_id)
        except (StoreUnavailableError, NotFoundError):
            return None
        return row if _is_over(row) else None


class Ends:
    """What says that a refinement is over: its task's end, then its proposal's first word."""

    def __init__(self, proposal_id: UUID, task: asyncio.Future[None], proposal: asyncio.Future[None]) -> None:
        self.proposal_id = proposal_id
        self.task = task
        self.proposal = proposal


def _is_over(row: ProposalRow) -> bool:
    return row.status not in COMING or (row.task_status in FINAL and row.task_status not in GOOD)
