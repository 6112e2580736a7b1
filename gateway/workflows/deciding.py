"""Deciding proposals, and sharing them. Of two who decide at once one wins, and both are told how it ended."""

import re
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.base import Event, EventData
from events.ids import Name, checked_name
from events.proposal import Decision, ProposalDecide, ProposalShare
from gateway.accept import SOURCE
from gateway.auth.bearer import READ, WRITE, Principal
from gateway.commands import KEPT, Answered, Commands
from gateway.errors import StaleDigestError
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json, read_optional
from gateway.http.documentation import problems, request_body
from gateway.http.preferences import IdempotencyKey, Key, read_key
from gateway.tasks.lookup import parsed_id
from gateway.trail import Trail
from gateway.workflows.access import Access
from gateway.workflows.errors import not_ready, proposal_refusal
from gateway.workflows.models import Approved, Grant, GrantList, Kept, Rejected
from gateway.workflows.proposals import HOME, ONE, ProposalId
from gateway.workflows.requests import AccessRequest, DecisionRequest
from gateway.workflows.views import grant_view
from storage.proposals import COMING, ProposalRow, grants_of
from storage.reading import Database

_STATUS: dict[Decision, str] = {"approve": "approved", "reject": "rejected"}
_STRONG = re.compile(r'"([0-9a-f]{64})"\Z')
_IF_MATCH: dict[str, object] = {
    "parameters": [
        {
            "name": "If-Match",
            "in": "header",
            "required": False,
            "description": "The ETag of what you saw: 412 if the proposal is another by now",
            "schema": {"type": "string"},
        }
    ]
}


class Deciding:
    """The routes that change a proposal."""

    def __init__(self, access: Access, commands: Commands, engine: Database) -> None:
        self._access = access
        self._commands = commands
        self._engine = engine

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["proposals"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        errors = problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 423, 503)
        for decision, handler, model in (("approve", self.approve, Approved), ("reject", self.reject, Rejected)):
            router.post(
                f"{ONE}/{decision}",
                summary=f"{decision.capitalize()} a proposal",
                responses={200: {"model": model}, 202: {"model": Kept}, **errors},
                openapi_extra={**request_body(DecisionRequest, required=False), **_IF_MATCH},
            )(handler)
        router.get(
            f"{ONE}/access",
            summary="Who else may see or decide it",
            responses={200: {"model": GrantList}, **problems(401, 403, 404, 422, 503)},
        )(self.grants)
        router.put(
            f"{ONE}/access/{{user_id}}",
            summary="Let somebody see or decide it",
            responses={200: {"model": Grant}, 202: {"model": Kept}, **errors},
            openapi_extra=request_body(AccessRequest),
        )(self.grant)
        router.delete(
            f"{ONE}/access/{{user_id}}",
            summary="Take that back",
            status_code=204,
            responses={202: {"model": Kept}, **errors},
        )(self.revoke)
        return router

    async def approve(
        self,
        request: Request,
        proposal_id: ProposalId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - as documented
    ) -> Response:
        """The draft becomes what is proposed. Who repeats a decision gets the first answer."""
        row, headers = await self._decide(request, proposal_id, "approve")
        if row.status != "approved":
            return _kept(row.id, headers)
        said = "The draft holds what was proposed."
        return json_answer({"proposal_id": row.id, "approved_at": row.decided_at, "message": said}, 200, headers)

    async def reject(
        self,
        request: Request,
        proposal_id: ProposalId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - as documented
    ) -> Response:
        """The draft stays as it is."""
        row, headers = await self._decide(request, proposal_id, "reject")
        if row.status != "rejected":
            return _kept(row.id, headers)
        return json_answer({"proposal_id": row.id, "message": "The draft stays as it is."}, 200, headers)

    async def grants(self, request: Request, proposal_id: ProposalId) -> Response:
        """Its owner is not among them."""
        principal = await self._access.principal(request, READ)
        row = await self._access.proposal(principal, parsed_id(proposal_id))
        found = await grants_of(self._engine, row.id)
        return json_answer({"items": [grant_view(row.id, one) for one in found]})

    async def grant(self, request: Request, proposal_id: ProposalId, user_id: Name) -> Response:
        """`owner` may decide and share it, `viewer` may look. A later grant replaces an earlier one."""
        principal, row = await self._own(request, proposal_id)
        _, body = await read_json(request)
        access = read_body(AccessRequest, body).access_type
        answered = await self._share(request, principal, row, user_id, access)
        found = [one for one in await grants_of(self._engine, row.id) if one.grantee == user_id]
        if answered.outcome is None or not found:
            return _kept(row.id, {})
        return json_answer(grant_view(row.id, found[0]))

    async def revoke(self, request: Request, proposal_id: ProposalId, user_id: Name) -> Response:
        """Harmless if there was none."""
        principal, row = await self._own(request, proposal_id)
        answered = await self._share(request, principal, row, user_id, "none")
        return _kept(row.id, {}) if answered.outcome is None else Response(status_code=204)

    async def _decide(
        self, request: Request, proposal_id: str, decision: Decision
    ) -> tuple[ProposalRow, dict[str, str]]:
        """The proposal as it is afterwards; still pending if the outcome is not known."""
        principal, row = await self._own(request, proposal_id)
        asked, body = await read_optional(request, DecisionRequest)
        key = read_key(request, principal, f"{ONE}/{decision}", f"{row.id}\n".encode() + body)
        if row.status in COMING:  # asked of the keeper, who comes too early would use up the key
            raise not_ready(row)
        data = ProposalDecide(
            proposal_id=row.id,
            task_id=row.task_id,
            decision=decision,
            by=principal.owner,
            digest=_digest(request),
            reason=asked.reason,
        )
        answered = await self._ask(request, row, data, key)
        if answered.outcome is None:
            return row, answered.headers
        after = await self._access.proposal(principal, row.id)
        if answered.refusal is None:
            return after, answered.headers
        if (after.status, after.decided_by) == (_STATUS[decision], principal.owner):
            return after, {"Idempotency-Replayed": "true"}
        raise proposal_refusal(answered.refusal, after)

    async def _share(
        self, request: Request, principal: Principal, row: ProposalRow, user_id: str, access: str
    ) -> Answered:
        data = ProposalShare.model_validate(
            {
                "proposal_id": row.id,
                "task_id": row.task_id,
                "grantee": checked_name(user_id, "the user's id"),
                "access": access,
                "by": principal.owner,
            }
        )
        answered = await self._ask(request, row, data, None)
        if answered.refusal is not None:
            raise proposal_refusal(answered.refusal, row)
        return answered

    async def _ask(
        self, request: Request, row: ProposalRow, data: ProposalDecide | ProposalShare, key: Key | None
    ) -> Answered:
        event: Event[EventData] = Event.first(
            data,
            source=SOURCE,
            tenant=row.tenant,
            owner=row.owner,
            task_id=row.task_id,
            session_id=str(row.workflow_id),
            event_id=key.event_id if key else None,
            traceparent=Trail.of(request.scope).traceparent,
        )
        return await self._commands.ask(event, key)

    async def _own(self, request: Request, proposal_id: str) -> tuple[Principal, ProposalRow]:
        principal = await self._access.principal(request, WRITE)
        return principal, await self._access.own_proposal(principal, parsed_id(proposal_id))


def _digest(request: Request) -> str | None:
    """The digest that If-Match names (RFC 9110, 13.1.1); a tag that can never match is stale."""
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return None
    named = _STRONG.match(given.strip())
    if named is None:
        raise StaleDigestError
    return named[1]


def _kept(proposal_id: UUID, headers: dict[str, str]) -> Response:
    """202: the log has it, the database will follow."""
    body = {"id": proposal_id, "message": KEPT}
    return json_answer(body, 202, {"Location": f"{HOME}/{proposal_id}", **headers})
