"""Sessions that hang together (a session and those that name it as their parent), and how many there are."""

from collections import Counter
from collections.abc import Sequence
from typing import get_args

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.bearer import READ, Authenticator
from gateway.compat.words import session_status
from gateway.http.answers import json_answer
from gateway.http.documentation import problems
from gateway.sessions.acting import Sessions
from gateway.sessions.models import SessionStats, SessionStatus, SessionTree
from gateway.sessions.paths import HOME, ONE, SessionId
from gateway.tasks.views import View
from storage.reading import Database
from storage.session_families import (
    MOST_COUNTED,
    MOST_DESCENDANTS,
    SessionGroup,
    SessionNode,
    family_of,
    groups_of,
)

_ACTIVE = ("queued", "running", "paused")
_FAILED = ("failed", "timeout", "orphaned")


class Families:
    """The routes; `/stats` is declared before `/{session_id}`, so it comes before the other routes of sessions."""

    def __init__(self, *, authenticator: Authenticator, sessions: Sessions, engine: Database) -> None:
        self._authenticator = authenticator
        self._sessions = sessions
        self._engine = engine

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["sessions"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        one, many = problems(401, 403, 404, 422, 503), problems(401, 403, 422, 503)
        get = router.get
        get(f"{HOME}/stats", summary="How many sessions you have", responses={200: {"model": SessionStats}, **many})(
            self.stats
        )
        get(
            f"{ONE}/tree",
            summary="A session and all that descends from it",
            responses={200: {"model": SessionTree}, **one},
        )(self.tree)
        return router

    async def stats(self, request: Request) -> Response:
        """Of your own; with the scope tenant of the tenant's. Deleted ones are not counted."""
        principal = await self._authenticator.caller(request, READ)
        owner = None if principal.has_tenant else principal.owner
        return json_answer(stats_view(await groups_of(self._engine, principal.tenant, owner)))

    async def tree(self, request: Request, session_id: SessionId) -> Response:
        """The oldest 500 of them; deleted ones are marked."""
        row = await self._sessions.find(await self._authenticator.caller(request, READ), session_id, archived=True)
        return json_answer(tree_view(row.id, await family_of(self._engine, row.tenant, row.owner, row.id)))


def tree_view(root: str, nodes: Sequence[SessionNode]) -> View:
    """The session and all that descends from it; one whose parent is not shown is not shown either."""
    shown = nodes[:MOST_DESCENDANTS]
    below: dict[str | None, list[SessionNode]] = {}
    for node in shown:
        below.setdefault(node.parent_id, []).append(node)
    top = next(node for node in shown if node.id == root)
    children: list[View] = []
    view = _node_view(top, 0, children)
    level = [(top, children)]
    depth = 0
    while level:
        depth += 1
        next_level: list[tuple[SessionNode, list[View]]] = []
        for parent, listed in level:
            for child in below.pop(parent.id, ()):
                its_own: list[View] = []
                listed.append(_node_view(child, depth, its_own))
                next_level.append((child, its_own))
        level = next_level
    return {**view, "truncated": len(nodes) > MOST_DESCENDANTS}


def stats_view(groups: Sequence[SessionGroup]) -> View:
    """The figures of the document (002.2); what was stopped or cancelled is no failure."""
    by_status: Counter[str] = Counter()
    by_type: Counter[str] = Counter()
    by_priority: Counter[str] = Counter()
    for group in groups:
        by_status[_status(group.task_status, group.task_reason, begun=group.begun)] += group.number
        by_type[group.session_type or "none"] += group.number
        by_priority[group.priority or "none"] += group.number
    total, timed = by_status.total(), sum(group.timed for group in groups)
    failed = sum(by_status[status] for status in _FAILED)
    good, half = by_status["completed"], by_status["partially_completed"]
    ended = good + half + failed
    return {
        "total_sessions": total,
        "active_sessions": sum(by_status[status] for status in _ACTIVE),
        "completed_sessions": good,
        "failed_sessions": failed,
        "average_duration_seconds": sum(group.seconds for group in groups) / timed if timed else None,
        "average_success_rate": (good + half / 2) / ended if ended else None,
        "sessions_by_status": {status: by_status[status] for status in get_args(SessionStatus)},
        "sessions_by_type": dict(by_type),
        "sessions_by_priority": dict(by_priority),
        "truncated": total > MOST_COUNTED,
    }


def _node_view(node: SessionNode, depth: int, children: list[View]) -> View:
    return {
        "id": node.id,
        "title": node.title,
        "kind": node.kind,
        "status": _status(node.task_status, node.task_reason, begun=node.begun),
        "archived": node.archived,
        "depth": depth,
        "created_at": node.created_at,
        "children": children,
    }


def _status(status: str | None, reason: str | None, *, begun: bool) -> str:
    return session_status(status or "submitted", begun=begun, reason=reason)
