"""One action on many sessions: each is found, wished and answered by itself."""

import asyncio

from events.errors import GanglionError
from gateway.auth import Principal
from gateway.errors import status_of
from gateway.preferences import Key
from gateway.sessions.acting import Sessions, Wish, Wished, key_for
from gateway.sessions.requests import ActionRequest, BulkRequest
from gateway.sessions.view import session_payload
from gateway.trail import Trail
from gateway.views import View

_AT_ONCE = 4


class Bulk:
    """Four at a time: a bulk request takes no more of the database than a few single ones."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def act(self, principal: Principal, asked: BulkRequest, key: Key | None, trail: Trail) -> View:
        """What became of each, in the order they were named; a session that is named twice is acted on once."""
        turn = asyncio.Semaphore(_AT_ONCE)

        async def one(session_id: str) -> View:
            async with turn:
                return await self._one(principal, asked, session_id, key_for(key, session_id), trail)

        results = await asyncio.gather(*map(one, dict.fromkeys(asked.session_ids)))
        good = sum(1 for result in results if result["ok"])
        return {"results": results, "succeeded": good, "failed": len(results) - good}

    async def _one(
        self, principal: Principal, asked: BulkRequest, session_id: str, key: Key | None, trail: Trail
    ) -> View:
        try:
            row = await self._sessions.find(principal, session_id, archived=key is not None)
            if asked.action == "delete":
                done = await self._sessions.delete(principal, row, key, trail)
                return {"session_id": session_id, "ok": True, "status": 202 if done.row is None else 204}
            done = await self._sessions.act(principal, row, Wished(asked.action, _said(asked), key), trail)
        except GanglionError as error:
            status = int(status_of(error))
            return {"session_id": session_id, "ok": False, "status": status, "code": error.code, "detail": error.detail}
        if done.row is None:
            return {"session_id": session_id, "ok": True, "status": 202}
        return {"session_id": session_id, "ok": True, "status": 200, "session": session_payload(done.row)}


def _said(asked: BulkRequest) -> Wish:
    bodies: dict[str, Wish] = {"complete": asked.complete, "fail": asked.fail}
    return bodies.get(asked.action, ActionRequest(reason=asked.reason))
