"""GET /api/v1/tenant/usage: what the caller's tenant may use, and what it uses."""

from datetime import UTC, datetime

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.bearer import READ, Authenticator
from gateway.http.answers import json_answer
from gateway.http.documentation import problems
from gateway.tenants.quotas import Quotas, next_month


class Used(BaseModel):
    """What is used, and what is allowed: null is as much as one likes."""

    used: int
    allowed: int | None


class TenantUsage(BaseModel):
    """Of all owners of the tenant together: sessions that have begun and not ended, and tokens of this month (UTC)."""

    tenant: str
    concurrent_sessions: Used
    tokens_per_month: Used
    month: str
    resets_at: datetime


def tenant_routes(*, authenticator: Authenticator, quotas: Quotas) -> APIRouter:
    """To be included by the application."""
    router = APIRouter(tags=["tenants"], dependencies=[Depends(HTTPBearer(auto_error=False))])

    async def usage(request: Request) -> Response:
        """Counted by the keeper; what runs just now has spent tokens that are counted when it ends."""
        principal = await authenticator.caller(request, READ)
        now = datetime.now(UTC)
        quota, used = quotas.of(principal.tenant), await quotas.used(principal.tenant, now)
        return json_answer(
            {
                "tenant": principal.tenant,
                "concurrent_sessions": {"used": used.sessions, "allowed": quota.concurrent_sessions},
                "tokens_per_month": {"used": used.tokens, "allowed": quota.tokens_per_month},
                "month": used.month,
                "resets_at": next_month(now),
            }
        )

    router.get(
        "/api/v1/tenant/usage",
        summary="What your tenant uses of its quota",
        responses={200: {"model": TenantUsage}, **problems(401, 403, 503)},
    )(usage)
    return router
