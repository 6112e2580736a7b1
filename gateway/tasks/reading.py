"""Reading tasks: one, many, a task's history, and its live stream."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.cursor import Cursor
from events.errors import HistoryArchivedError
from events.task import Kind, Status
from gateway.auth.bearer import READ, Authenticator
from gateway.http.answers import json_answer
from gateway.http.documentation import CURSOR, EVENT_STREAM, problems
from gateway.http.values import Moment
from gateway.live.frames import make_frame, read_envelope
from gateway.live.rooms import Room
from gateway.live.sse import Streams
from gateway.tasks.lookup import Lookup, parsed_id
from gateway.tasks.models import FacadeTask, History, Task, TaskPage, TaskWithSubtasks
from gateway.tasks.requests import PriorityFilter, priority_of
from gateway.tasks.views import decode_place, facade_view, is_shown, page_view, task_view, tree_view
from storage.families import descendants
from storage.log import LogEntry, Whose, entries, has_archived
from storage.reading import Database
from storage.tasks import TaskFilter, TaskRow, list_tasks

TaskId = Annotated[str, Path(json_schema_extra={"format": "uuid"})]
Limit = Annotated[int, Query(ge=1, le=100)]
PlaceText = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before")]
CursorText = Annotated[
    str, Query(json_schema_extra={"pattern": CURSOR}, description="`0`, or an earlier event's cursor")
]


class Reading:
    """The routes that change nothing."""

    def __init__(self, *, authenticator: Authenticator, lookup: Lookup, engine: Database, streams: Streams) -> None:
        self._authenticator = authenticator
        self._lookup = lookup
        self._engine = engine
        self._streams = streams

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["tasks"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        get = router.get
        one = problems(401, 403, 404, 422, 503)
        many = problems(401, 403, 422, 503)
        get(
            "/tasks/{task_id}",
            summary="One task, in the words of /submit",
            responses={200: {"model": FacadeTask}, **one},
        )(self.facade_task)
        get("/api/v1/tasks", summary="Your tasks, newest first", responses={200: {"model": TaskPage}, **many})(
            self.tasks
        )
        get(
            "/api/v1/tasks/{task_id}",
            summary="One task",
            responses={200: {"model": TaskWithSubtasks | Task}, **one},
        )(self.task)
        get(
            "/api/v1/tasks/{task_id}/events",
            summary="A task's history",
            responses={200: {"model": History}, **one, **problems(410)},
        )(self.events)
        get(
            "/api/v1/tasks/{task_id}/stream",
            summary="A task's events as they happen (server-sent events)",
            response_class=Response,
            responses={200: EVENT_STREAM, **one},
        )(self.stream)
        return router

    async def facade_task(self, request: Request, task_id: TaskId) -> Response:
        """Statuses are pending, processing, completed, failed, cancelled."""
        return json_answer(
            facade_view(await self._lookup.task(await self._authenticator.caller(request, READ), parsed_id(task_id)))
        )

    async def task(
        self,
        request: Request,
        task_id: TaskId,
        *,
        include_subtasks: Annotated[bool, Query(description="With all that descends from it")] = False,
    ) -> Response:
        """The canonical shape."""
        found = await self._lookup.task(await self._authenticator.caller(request, READ), parsed_id(task_id))
        if not include_subtasks:
            return json_answer(task_view(found))
        below: object = []
        if isinstance(found, TaskRow):
            family = await descendants(self._engine, found.tenant, found.owner, found.id)
            below = tree_view(found.id, family)["subtasks"]
        return json_answer({**task_view(found), "subtasks": below})

    async def tasks(
        self,
        request: Request,
        *,
        status: Annotated[list[Status], Query(max_length=13)] = [],  # noqa: B006 - FastAPI copies defaults
        kind: Annotated[list[Kind], Query(max_length=4)] = [],  # noqa: B006 - as above
        priority: Annotated[list[PriorityFilter], Query(max_length=13)] = [],  # noqa: B006 - as above
        created_after: Moment | None = None,
        created_before: Moment | None = None,
        limit: Limit = 50,
        cursor: PlaceText = None,
    ) -> Response:
        """Your own; with the scope tenant the tenant's. Filters may be given several times."""
        principal = await self._authenticator.caller(request, READ)
        wanted = TaskFilter(
            tenant=principal.tenant,
            owner=None if principal.has_tenant else principal.owner,
            status=status,
            kind=kind,
            priority=[priority_of(said) for said in priority],
            created_after=created_after,
            created_before=created_before,
        )
        place = decode_place(cursor) if cursor is not None else None
        return json_answer(page_view(await list_tasks(self._engine, wanted, place, limit + 1), limit))

    async def events(self, request: Request, task_id: TaskId, after: CursorText = "0", limit: Limit = 100) -> Response:
        """What a subscriber of the task would have seen, oldest first; 410 if a part of that was archived."""
        principal = await self._authenticator.caller(request, READ)
        found = await self._lookup.whereabouts(principal, parsed_id(task_id))
        whose = Whose(found.tenant, found.owner, parsed_id(task_id))
        begin = Cursor.parse(after or "0")
        page = await entries(self._engine, whose, begin, None, limit + 1)
        if await has_archived(self._engine, whose, begin):
            raise HistoryArchivedError
        return _history(page, limit)

    async def stream(
        self,
        request: Request,
        task_id: TaskId,
        after: Annotated[CursorText, Query(description="As in /events; absent: from now")] = "",
        last_event_id: Annotated[str, Header(json_schema_extra={"pattern": CURSOR})] = "",
    ) -> Response:
        """Ends with `event: end` after a final state. `Last-Event-ID` resumes, before `after`."""
        principal = await self._authenticator.caller(request, READ)
        places = [Cursor.parse(text) for text in (last_event_id, after) if text]
        identity = parsed_id(task_id)
        found = await self._lookup.whereabouts(principal, identity)
        room = Room("task", found.tenant, found.owner, str(identity))
        return self._streams.response(request, principal, room, places[0] if places else None, ended=found.ended)


def _history(page: list[LogEntry], limit: int) -> Response:
    """Frames as subscribers get them: the same encoder."""
    shown = page[:limit]
    items = []
    for entry in shown:
        envelope = read_envelope(entry.body) if is_shown(entry) else None
        if envelope is not None:
            items.append(b"{" + make_frame(envelope, Cursor(entry.epoch, entry.seq), entry.time).tail)
    following = b'"%s-%d"' % (shown[-1].epoch.encode(), shown[-1].seq) if len(page) > limit else b"null"
    body = b'{"items":[%s],"next_cursor":%s}' % (b",".join(items), following)
    return Response(body, media_type="application/json")
