"""One action on many sessions: each is found, acted on and answered by itself."""

import asyncio
from dataclasses import replace

from events.errors import GanglionError, TransientError
from gateway.auth.bearer import Principal
from gateway.errors import IdempotencyConflictError, status_of
from gateway.http.preferences import Key
from gateway.sessions.acting import Body, Command, Sessions
from gateway.sessions.requests import ActionRequest, BulkRequest
from gateway.sessions.view import session_payload
from gateway.tasks.views import View
from gateway.trail import Trail

_AT_ONCE = 4


class Bulk:
    """Four at a time: a bulk request takes no more of the database than a few single ones.

    Under an Idempotency-Key one of its events has the key's own id and goes before all others: what comes later
    under the same key finds it there, whatever sessions that names.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def act(self, principal: Principal, asked: BulkRequest, key: Key | None, trail: Trail) -> tuple[View, bool]:
        """What became of each, in the order they were named; a session that is named twice is acted on once.

        And whether it was asked before with the same key. Raises IdempotencyConflictError, and TransientError if the
        first event under a key could not be kept: then nothing was done.
        """
        names = list(dict.fromkeys(asked.session_ids))
        turn = asyncio.Semaphore(_AT_ONCE)
        found: dict[str, View] = {}
        replayed = False
        if key is not None:
            lead, replayed = await self._sessions.lead(principal, names, asked.action, key)
            if lead is not None:
                found[lead] = await self._one(principal, asked, lead, replace(key, of_many=True), trail, leads=True)

        async def one(session_id: str) -> None:
            async with turn:
                part = None if key is None else key.for_one_of_many(session_id)
                found[session_id] = await self._one(principal, asked, session_id, part, trail)

        await asyncio.gather(*(one(name) for name in names if name not in found))
        results = [found[name] for name in names]
        good = sum(1 for result in results if result["ok"])
        return {"results": results, "succeeded": good, "failed": len(results) - good}, replayed

    async def _one(
        self,
        principal: Principal,
        asked: BulkRequest,
        session_id: str,
        key: Key | None,
        trail: Trail,
        *,
        leads: bool = False,
    ) -> View:
        try:
            row = await self._sessions.find(principal, session_id, archived=key is not None)
            if asked.action == "delete":
                done = await self._sessions.delete(principal, row, key, trail)
                return {"session_id": session_id, "ok": True, "status": 202 if done.row is None else 204}
            done = await self._sessions.act(principal, row, Command(asked.action, _said(asked), key), trail)
        except GanglionError as error:
            if leads and isinstance(error, IdempotencyConflictError | TransientError):
                raise
            status = int(status_of(error))
            return {"session_id": session_id, "ok": False, "status": status, "code": error.code, "detail": error.detail}
        if done.row is None:
            return {"session_id": session_id, "ok": True, "status": 202}
        return {"session_id": session_id, "ok": True, "status": 200, "session": session_payload(done.row)}


def _said(asked: BulkRequest) -> Body:
    bodies: dict[str, Body] = {"complete": asked.complete, "fail": asked.fail}
    return bodies.get(asked.action, ActionRequest(reason=asked.reason))
