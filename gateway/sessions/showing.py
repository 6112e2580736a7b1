"""Sessions as answers: one with what belongs to it, or a page of many."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

from starlette.responses import Response

from gateway.http.answers import json_answer
from gateway.sessions.view import checkpoint_view, session_payload
from gateway.tasks.views import View, task_view
from storage.checkpoints import checkpoints_of
from storage.messages import MessageRow, newest_messages
from storage.reading import Database
from storage.sessions import SessionFilter, SessionRow, metrics_of, page_of_sessions
from storage.tasks import TaskFilter, list_tasks

Include = Literal["tasks", "messages", "checkpoints", "metrics"]

_MOST = 100


class Showing:
    """Reads from Postgres only."""

    def __init__(self, engine: Database) -> None:
        self._engine = engine

    async def one(self, row: SessionRow, include: Sequence[Include]) -> Response:
        """A session with its newest hundred tasks, messages or checkpoints, or its metrics, if they are asked for."""
        shown = session_payload(row)
        if "tasks" in include:
            wanted = TaskFilter(row.tenant, row.owner, session_id=row.id)
            shown["tasks"] = [task_view(task) for task in await list_tasks(self._engine, wanted, None, _MOST)]
        if "messages" in include:
            shown["messages"] = [_message(said) for said in await newest_messages(self._engine, row.id, _MOST)]
        if "checkpoints" in include:
            found = await checkpoints_of(self._engine, row.id, None, _MOST)
            shown["checkpoints"] = [checkpoint_view(one) for one in found]
        if "metrics" in include:
            shown["metrics"] = asdict(await metrics_of(self._engine, row))
        return json_answer(shown)

    async def page(self, wanted: SessionFilter, page: int, page_size: int) -> Response:
        """One page of those that are wanted, and how many there are in all."""
        skip = (page - 1) * page_size
        rows, total = await page_of_sessions(self._engine, wanted, skip=skip, limit=page_size)
        items = [session_payload(row) for row in rows]
        return json_answer({"items": items, "total": total, "page": page, "page_size": page_size})


def _message(said: MessageRow) -> View:
    return {
        "id": said.id,
        "seq": said.seq,
        "role": said.role,
        "content": said.content,
        "created_at": said.created_at,
        "task_id": said.task_id,
        "turn_status": said.turn_status,
    }
