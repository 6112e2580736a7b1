"""What the placeholders of a task stand for, for who may see the task; each look is noted in the log."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Path
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.bearer import READ, Authenticator
from gateway.errors import NotFoundError
from gateway.http.answers import json_answer
from gateway.http.documentation import problems
from gateway.tasks.lookup import Lookup, parsed_id
from screening.sealing import Sealer, UnsealError, kind_of
from screening.settings import ScreeningSettings
from storage.placeholders import sealed_names
from storage.reading import Database
from storage.tasks import TaskRow

log = structlog.get_logger()

_PATH = "/api/v1/tasks/{task_id}/placeholders"


class Placeholders(BaseModel):
    """The placeholders of the task's session (`EMAIL_1`, as `[EMAIL_1]` in texts) and what they stand for.

    `lost` are those whose key is gone.
    """

    placeholders: dict[str, str]
    lost: list[str] = []


class Revealing:
    """The route."""

    def __init__(
        self, *, authenticator: Authenticator, lookup: Lookup, engine: Database, settings: ScreeningSettings
    ) -> None:
        self._authenticator = authenticator
        self._lookup = lookup
        self._engine = engine
        self._sealer = settings.sealer()

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter(tags=["reflex"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        router.get(
            _PATH,
            summary="What a task's placeholders stand for",
            responses={200: {"model": Placeholders}, **problems(401, 403, 404, 503)},
        )(self.placeholders)
        return router

    async def placeholders(
        self, request: Request, task_id: Annotated[str, Path(json_schema_extra={"format": "uuid"})]
    ) -> Response:
        """All placeholders of the task's session, opened."""
        principal = await self._authenticator.caller(request, READ)
        task = await self._lookup.task(principal, parsed_id(task_id))
        if self._sealer is None:
            raise NotFoundError("Placeholders are not kept here: there is no key (GANGLION_SEAL_KEYS).")
        session = task.session_id if isinstance(task, TaskRow) and task.session_id else str(task.id)
        kept = await sealed_names(self._engine, task.tenant, task.owner, session)
        log.info("placeholders_revealed", task=str(task.id), by=principal.owner, count=len(kept))
        opened = {name: _opened(self._sealer, task.tenant, session, name, value.value) for name, value in kept.items()}
        values = {name: value for name, value in opened.items() if value is not None}
        return json_answer({"placeholders": values, "lost": sorted(set(opened) - set(values))})


def _opened(sealer: Sealer, tenant: str, session: str, name: str, sealed: str) -> str | None:
    try:
        return sealer.open(tenant, session, kind_of(name), sealed)
    except UnsealError:
        return None
