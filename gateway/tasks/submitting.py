"""Taking new tasks: POST /submit and POST /api/v1/tasks. The hot path: plain handlers, nothing validated twice."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from events.base import Event
from events.codec import decode
from events.errors import GanglionError, OutcomeUnknownError, StoreUnavailableError
from events.task import TaskSpec, TaskSubmitted
from gateway.accept import Accepted, Acceptor
from gateway.auth.bearer import WRITE, Authenticator, Principal
from gateway.bus import Bus
from gateway.commits import APPLIED, DUPLICATE
from gateway.errors import IdempotencyConflictError, NotFoundError, UnansweredError
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json
from gateway.http.preferences import Key, read_key, read_wait
from gateway.live.endings import comes
from gateway.live.hub import Hub
from gateway.metrics import Metrics
from gateway.tasks.accepted import accepted_answer, fingerprint_of
from gateway.tasks.asking import submission
from gateway.tasks.lookup import Lookup, Recent, Recents
from gateway.tasks.requests import SubmitRequest, TaskRequest
from gateway.tasks.views import View, facade_status, facade_view, task_view
from gateway.trail import TEMPLATE, Trail
from storage.tasks import TaskRow


@dataclass(frozen=True, slots=True)
class Door:
    """One way to ask for a task: its path, its body, and the words of its answers."""

    path: str
    home: str
    read: Callable[[bytes], TaskSpec]
    view: Callable[[TaskRow | Recent], View]
    word: Callable[[str], str]


_LOOKS_FOR = 1.0

SUBMIT = Door("/submit", "/tasks", lambda body: read_body(SubmitRequest, body).spec(), facade_view, facade_status)
CREATE = Door("/api/v1/tasks", "/api/v1/tasks", lambda body: read_body(TaskRequest, body).spec(), task_view, str)


class Submitting:
    """The two doors."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        acceptor: Acceptor,
        bus: Bus,
        hub: Hub,
        lookup: Lookup,
        recents: Recents,
        metrics: Metrics,
    ) -> None:
        self._authenticator = authenticator
        self._acceptor = acceptor
        self._bus = bus
        self._hub = hub
        self._lookup = lookup
        self._recents = recents
        self._metrics = metrics

    async def submit(self, request: Request) -> Response:
        """POST /submit."""
        return await self._take(request, SUBMIT)

    async def create(self, request: Request) -> Response:
        """POST /api/v1/tasks."""
        return await self._take(request, CREATE)

    async def _take(self, request: Request, door: Door) -> Response:
        request.scope[TEMPLATE] = door.path
        principal = await self._authenticator.caller(request, WRITE)
        _, body = await read_json(request)
        spec = door.read(body)
        key = read_key(request, principal, door.path, body)
        wait = read_wait(request)
        event = submission(spec, key, Trail.of(request.scope), tenant=principal.tenant, owner=principal.owner)
        task_id = event.data.task_id
        if not wait:
            answer, _ = await self._accept(event, key, door)
            return answer
        with self._hub.endings.awaited(str(task_id)) as final:
            answer, replayed = await self._accept(event, key, door)
            return await self._wait(
                answer,
                final=final,
                task_id=task_id,
                principal=principal,
                door=door,
                seconds=wait,
                replayed=replayed,
            )

    async def _accept(self, event: Event[TaskSubmitted], key: Key | None, door: Door) -> tuple[Response, bool]:
        if key is not None and await self._is_known(key):
            return accepted_answer(
                key.subject_id, door.word("submitted"), "log+database", door.home, replayed=True
            ), True
        self._acceptor.refuse_if_overloaded()
        task_id = event.data.task_id
        try:
            accepted = await self._acceptor.accept(event)
        except OutcomeUnknownError as error:
            raise UnansweredError(task_id, key.value if key else None) from error
        try:
            replayed = key is not None and await self._is_repeat(key, accepted)
        except StoreUnavailableError:
            # The outcome may be that of another body under this key; only its row would tell.
            accepted, replayed = replace(accepted, outcome=None), False
        _refuse_bugs(accepted)
        if accepted.durability == "log":
            self._remember(event)
        if not replayed:
            self._metrics.submitted(event.data.spec.priority)
        answer = accepted_answer(task_id, door.word("submitted"), accepted.durability, door.home, replayed=replayed)
        return answer, replayed

    async def _is_known(self, key: Key) -> bool:
        """Whether a row of this key exists; with Postgres away the log's own window must tell."""
        try:
            return await self._was_taken(key)
        except StoreUnavailableError:
            return False

    async def _was_taken(self, key: Key) -> bool:
        """Whether a row of this key exists. Raises IdempotencyConflictError and StoreUnavailableError."""
        row = await self._lookup.row(key.subject_id)
        if row is None:
            return False
        if row.body_sha256 != key.body_sha256:
            raise IdempotencyConflictError
        return True

    async def _is_repeat(self, key: Key, accepted: Accepted) -> bool:
        """Whether the log or the database had this key's event before; then its body must be the same one.

        Raises IdempotencyConflictError if it is not, and StoreUnavailableError if that cannot be told.
        """
        in_the_log = accepted.first_seq is not None and await self._is_in_the_log(key, accepted.first_seq)
        if accepted.outcome is None:
            return in_the_log
        # Another body under the same key shares our event's id: the outcome may be that one's, and what the log has
        # under it may be what we put there ourselves a moment ago.
        taken = await self._was_taken(key)
        return taken and (in_the_log or accepted.outcome == DUPLICATE)

    async def _is_in_the_log(self, key: Key, seq: int) -> bool:
        stored = await self._bus.stored(seq)
        if stored is None:
            return False
        if fingerprint_of(decode(stored).data) != key.body_sha256:
            raise IdempotencyConflictError
        return True

    def _remember(self, event: Event[TaskSubmitted]) -> None:
        data = event.data
        created_at = event.time or datetime.now(UTC)
        spec = data.spec
        self._recents.add(
            Recent(data.task_id, event.tenantid, event.ownerid, spec.kind, spec.priority, spec.prompt, created_at)
        )

    async def _wait(
        self,
        answer: Response,
        *,
        final: asyncio.Future[None],
        task_id: UUID,
        principal: Principal,
        door: Door,
        seconds: int,
        replayed: bool,
    ) -> Response:
        """200 with the task if it ends in time, else the 202 there is (RFC 7240, section 4.3)."""
        try:
            over = (replayed and await self._is_over(principal, task_id)) or await comes(final, seconds)
            over = over or await self._was_missed(principal, task_id)
            task = await self._lookup.task(principal, task_id) if over else None
        except (StoreUnavailableError, NotFoundError):
            task = None
        if task is None:
            answer.headers["Preference-Applied"] = f"wait={seconds}"
            return answer
        headers = {"Preference-Applied": f"wait={seconds}", "Content-Location": f"{door.home}/{task_id}"}
        if replayed:
            headers["Idempotency-Replayed"] = "true"
        return json_answer(door.view(task), 200, headers)

    async def _was_missed(self, principal: Principal, task_id: UUID) -> bool:
        """Whether the task ended while the hub began anew, and showed nothing; not if Postgres is slow to say so."""
        try:
            async with asyncio.timeout(_LOOKS_FOR):
                return await self._is_over(principal, task_id)
        except TimeoutError:
            return False

    async def _is_over(self, principal: Principal, task_id: UUID) -> bool:
        return (await self._lookup.whereabouts(principal, task_id)).ended


def _refuse_bugs(accepted: Accepted) -> None:
    """Every outcome of a task.submitted makes a task, but for those that mean we sent nonsense."""
    outcome = accepted.outcome
    if outcome is None or outcome in {APPLIED, DUPLICATE} or outcome.startswith("refused"):
        return
    raise GanglionError("The event was not understood by the keeper.")
