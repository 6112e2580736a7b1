"""Dead letters for those who operate a tenant (scope admin): look, replay, throw away.

A replay lets the task that the letter ended go on: a new attempt, or another look by the reflex layer. Where there is
no such task, the same event is published again under the same id: what is derived from it has the ids it had before,
so whatever was done the first time is not done twice.
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.base import Event
from events.codec import decode, encode
from events.ids import Name, derived_id
from events.letter import DeadLetter
from events.replay import LetterReplay
from events.task import TaskControl
from gateway.accept import SOURCE, Acceptor
from gateway.auth.bearer import ADMIN, Authenticator, Principal
from gateway.bus import Bus
from gateway.commands import Commands
from gateway.commits import APPLIED, DUPLICATE
from gateway.errors import IdempotencyConflictError, LetterGoneError, NotFoundError
from gateway.http.answers import json_answer
from gateway.http.documentation import problems
from gateway.http.preferences import IdempotencyKey, Key, read_key
from gateway.operations.dead_letter_models import Letter, LetterPage, Replayed
from gateway.trail import Trail
from producers.letters import Kept
from storage.log import settled
from storage.reading import Database

_HOME = "/api/v1/dlq"
REPLAY = f"{_HOME}/{{number}}/replay"
_KEEPER = "keeper"

Number = Annotated[int, Path(ge=1, lt=2**63)]


class DeadLetters:
    """The routes; each tenant's admin sees the letters about that tenant's events."""

    def __init__(self, *, authenticator: Authenticator, acceptor: Acceptor, bus: Bus, engine: Database) -> None:
        self._authenticator = authenticator
        self._acceptor = acceptor
        self._commands = Commands(acceptor, engine)
        self._bus = bus
        self._engine = engine

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["operations"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        one = problems(401, 403, 404, 422, 503)
        router.get(
            _HOME,
            summary="Dead letters, oldest first",
            responses={200: {"model": LetterPage}, **problems(401, 403, 422, 503)},
        )(self.letters)
        router.get(f"{_HOME}/{{number}}", summary="One dead letter", responses={200: {"model": Letter}, **one})(
            self.letter
        )
        router.post(
            REPLAY,
            summary="Give the event to its consumer once more",
            responses={200: {"model": Replayed}, **one, **problems(409, 410)},
        )(self.replay)
        router.delete(f"{_HOME}/{{number}}", summary="Throw a dead letter away", status_code=204, responses={**one})(
            self.discard
        )
        return router

    async def letters(
        self,
        request: Request,
        consumer: Annotated[Name | None, Query(description="Only this consumer's")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[int, Query(ge=0, lt=2**63, description="`next_cursor` of the page before")] = 0,
    ) -> Response:
        """A letter says what was given up and why, never what was in it."""
        principal = await self._authenticator.caller(request, ADMIN)
        found, following = await self._bus.letters.page(principal.tenant, consumer=consumer, after=cursor, limit=limit)
        return json_answer({"items": [_summary(kept) for kept in found], "next_cursor": following})

    async def letter(self, request: Request, number: Number) -> Response:
        """With the bytes, if no reader could make an event of them."""
        kept = await self._find(await self._authenticator.caller(request, ADMIN), number)
        return json_answer({**_summary(kept), "body": kept.letter.body, "headers": kept.letter.headers})

    async def replay(
        self,
        request: Request,
        number: Number,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - read from the request; named for the document
    ) -> Response:
        """The letter is gone afterwards; if the event fails again there will be another one."""
        principal, trail = await self._authenticator.caller(request, ADMIN), Trail.of(request.scope)
        key = read_key(request, principal, REPLAY, str(number).encode())
        try:
            letter = (await self._find(principal, number)).letter
        except NotFoundError:
            return await self._repeated(number, key)
        body = await self._event_of(letter)
        headers = {} if key is None else await self._note(principal, number, letter, key, trail)
        outcome = await self._put_back(principal, letter, trail)
        if outcome not in (APPLIED, DUPLICATE):  # else its task has gone on, and brings events of its own
            await self._bus.publish_bytes(letter.subject, body, f"replay-{letter.identity}", letter.headers)
        await self._bus.letters.drop(number)
        return json_answer({"number": number, "task_id": letter.task_id, "task": outcome}, 200, headers)

    async def discard(self, request: Request, number: Number) -> Response:
        """The event stays in the log; only the letter goes."""
        await self._find(await self._authenticator.caller(request, ADMIN), number)
        await self._bus.letters.drop(number)
        return Response(status_code=204)

    async def _find(self, principal: Principal, number: int) -> Kept:
        kept = await self._bus.letters.get(number)
        if kept is None or kept.letter.tenant != principal.tenant:
            raise NotFoundError
        return kept

    async def _note(
        self, principal: Principal, number: int, letter: DeadLetter, key: Key, trail: Trail
    ) -> dict[str, str]:
        """Put the replay under its key into the log, before the letter goes. Raises IdempotencyConflictError."""
        command = LetterReplay(number=number, letter=letter.identity, by=principal.owner, task_id=letter.task_id)
        event = Event.first(
            command,
            source=SOURCE,
            tenant=principal.tenant,
            owner=principal.owner,
            event_id=key.event_id,
            traceparent=trail.traceparent,
        )
        return (await self._commands.ask(event, key)).headers

    async def _repeated(self, number: int, key: Key | None) -> Response:
        """The answer to a replay whose letter is gone. Raises NotFoundError, IdempotencyConflictError."""
        noted = None if key is None else await settled(self._engine, SOURCE, str(key.event_id))
        if noted is None:
            raise NotFoundError
        command = decode(noted.body).data
        if not isinstance(command, LetterReplay) or command.number != number:
            raise IdempotencyConflictError
        put_back = await settled(self._engine, SOURCE, str(_retry_id(command.letter))) if command.task_id else None
        told = {"number": number, "task_id": command.task_id, "task": put_back.outcome if put_back else None}
        return json_answer(told, 200, {"Idempotency-Replayed": "true"})

    async def _event_of(self, letter: DeadLetter) -> bytes:
        """What to publish: the bytes that were no event, or the event marked as one that was seen before.

        The keeper has taken note of what it could not fold, so it is given that under a new id.
        """
        if letter.event_id is None or letter.event_source is None:
            if letter.undecoded is None:
                raise LetterGoneError
            return letter.undecoded
        logged = await settled(self._engine, letter.event_source, letter.event_id)
        if logged is None:
            raise LetterGoneError
        event = decode(logged.body)
        again: dict[str, object] = {"resendof": event.id}
        if letter.consumer == _KEEPER:
            again["id"] = str(derived_id(letter.identity, "replay"))
        return encode(event.model_copy(update=again))

    async def _put_back(self, principal: Principal, letter: DeadLetter, trail: Trail) -> str | None:
        """Ask that the task which the letter ended goes on; how that went, None without a task."""
        if letter.task_id is None or letter.owner is None:
            return None
        control = Event.first(
            TaskControl(task_id=letter.task_id, action="replay", by=principal.owner),
            source=SOURCE,
            tenant=letter.tenant,
            owner=letter.owner,
            task_id=letter.task_id,
            event_id=_retry_id(letter.identity),
            traceparent=trail.traceparent,
        )
        return (await self._acceptor.accept(control)).outcome


def _retry_id(letter: str) -> UUID:
    return derived_id(letter, "retry")


def _summary(kept: Kept) -> dict[str, object]:
    letter = kept.letter.model_dump(exclude={"body", "headers", "tenant"})
    return {"number": kept.number, "time": kept.time, **letter}
