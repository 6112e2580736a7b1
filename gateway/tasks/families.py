"""Tasks that hang together: what descends from one, what one depends on, and how many there are."""

from collections.abc import Sequence
from typing import get_args

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.errors import StoreUnavailableError
from events.task import FINAL, Kind, Status
from gateway.auth.bearer import READ, Authenticator
from gateway.http.answers import json_answer
from gateway.http.documentation import problems
from gateway.tasks.graph import graph_view
from gateway.tasks.lookup import Lookup, parsed_id
from gateway.tasks.models import DependencyGraph, TaskPage, TaskStats, TaskTree
from gateway.tasks.reading import Limit, PlaceText, TaskId
from gateway.tasks.views import View, decode_place, page_view, tree_view
from storage.families import MOST_COUNTED, counts, descendants, relatives
from storage.reading import Database
from storage.tasks import TaskFilter, TaskRow, list_tasks


class Families:
    """The routes; `/stats` is declared before `/{task_id}`, so it comes before the other routes of tasks."""

    def __init__(self, *, authenticator: Authenticator, lookup: Lookup, engine: Database) -> None:
        self._authenticator = authenticator
        self._lookup = lookup
        self._engine = engine

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/api/v1/tasks", tags=["tasks"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        get, one, many = router.get, problems(401, 403, 404, 422, 503), problems(401, 403, 422, 503)
        get("/stats", summary="How many tasks you have", responses={200: {"model": TaskStats}, **many})(self.stats)
        get(
            "/{task_id}/subtasks",
            summary="The tasks that a task has been split into, newest first",
            responses={200: {"model": TaskPage}, **one},
        )(self.subtasks)
        get(
            "/{task_id}/tree",
            summary="A task and all that descends from it",
            responses={200: {"model": TaskTree}, **one},
        )(self.tree)
        get(
            "/{task_id}/dependencies",
            summary="What a task depends on, and what depends on it",
            responses={200: {"model": DependencyGraph}, **one},
        )(self.dependencies)
        return router

    async def stats(self, request: Request) -> Response:
        """Of your own; with the scope tenant of the tenant's."""
        principal = await self._authenticator.caller(request, READ)
        owner = None if principal.has_tenant else principal.owner
        return json_answer(_stats_view(await counts(self._engine, principal.tenant, owner)))

    async def subtasks(
        self, request: Request, task_id: TaskId, limit: Limit = 50, cursor: PlaceText = None
    ) -> Response:
        """Its children; theirs are found there."""
        found = await self._found(request, task_id)
        wanted = TaskFilter(tenant=found.tenant, owner=found.owner, parent_id=found.id)
        place = decode_place(cursor) if cursor is not None else None
        return json_answer(page_view(await list_tasks(self._engine, wanted, place, limit + 1), limit))

    async def tree(self, request: Request, task_id: TaskId) -> Response:
        """At most 256 descend from one task."""
        found = await self._found(request, task_id)
        return json_answer(tree_view(found.id, await descendants(self._engine, found.tenant, found.owner, found.id)))

    async def dependencies(self, request: Request, task_id: TaskId) -> Response:
        """Directly and over others, in both directions."""
        found = await self._found(request, task_id)
        return json_answer(graph_view(found.id, await relatives(self._engine, found.tenant, found.owner, found.id)))

    async def _found(self, request: Request, task_id: str) -> TaskRow:
        """The task's row. Raises StoreUnavailableError for what is only in the log so far: it has no relatives yet."""
        found = await self._lookup.task(await self._authenticator.caller(request, READ), parsed_id(task_id))
        if not isinstance(found, TaskRow):
            raise StoreUnavailableError
        return found


def _stats_view(counted: Sequence[tuple[str, str, int]]) -> View:
    by_status: dict[str, int] = dict.fromkeys(get_args(Status), 0)
    by_kind: dict[str, int] = dict.fromkeys(get_args(Kind), 0)
    for status, kind, number in counted:
        by_status[status] += number
        by_kind[kind] += number
    total = sum(by_status.values())
    is_open = total - sum(by_status[status] for status in FINAL)
    return {
        "total": total,
        "open": is_open,
        "by_status": by_status,
        "by_kind": by_kind,
        "truncated": total > MOST_COUNTED,
    }
