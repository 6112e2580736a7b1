"""A keeper that a test holds in its hand: it commits and announces like the real one, and can be stopped."""

import asyncio
import json
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self
from uuid import UUID

import asyncpg
from nats.aio.client import Client

from events.announce import Committed
from events.base import Event, EventData, JsonObject
from events.codec import decode_structured
from events.errors import InvalidEventError
from events.streams import BUS, EPOCH_KEY
from events.subjects import COMMITTED
from events.task import FINAL, STATE_EVENTS, Status, TaskControl, TaskSubmitted
from producers.publisher import Publisher
from producers.reader import Delivery, Reader
from tests.support.eventually import eventually

SOURCE = "/consumers/keeper"

_LOG = """
INSERT INTO event_log (epoch, seq, source, id, type, tenant, owner, task_id, time, outcome, body, session_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING RETURNING seq
"""
_SESSION = """
INSERT INTO session (id, tenant, owner, kind, status, tags, metadata, turns, last_seq, version, created_at, updated_at)
VALUES ($1, $2, $3, 'chat', 'open', '[]', '{}', '[]', 0, 1, now(), now())
"""
_TASK = """
INSERT INTO task (id, tenant, owner, kind, priority, spec, required_capabilities, idempotency_key, body_sha256,
  correlation_id, hopcount, deadline_at, created_at, status, version, attempt, driving_id, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, $12, 'submitted', 1, 0, $13, $12) ON CONFLICT DO NOTHING
"""
_POSITION = "UPDATE keeper SET epoch = $1, position = $2"
_ENTER = """
UPDATE task SET status = $2, version = version + 1, updated_at = $3::timestamptz, result = $4,
  finished_at = CASE WHEN $5 THEN $3::timestamptz END
WHERE id = $1 RETURNING version
"""


class FakeKeeper:
    """Folds BUS into the database from its beginning; `async with FakeKeeper(client, database_url) as keeper`."""

    def __init__(self, client: Client, database_url: str) -> None:
        self._client = client
        self._url = database_url
        self.publisher = Publisher(client)
        self._going = asyncio.Event()
        self._going.set()
        self._heads: dict[UUID, Event[EventData]] = {}
        self._database_is_mine = asyncio.Lock()
        self._stopped = False
        self.announces = True
        self.finishes: Status | None = None
        self.epoch = ""
        self.position = 0

    async def __aenter__(self) -> Self:
        info = await self._client.jetstream().stream_info(BUS.name)
        self.epoch = (info.config.metadata or {})[EPOCH_KEY]
        self._database = await asyncpg.connect(self._url)
        await self._database.execute(_POSITION, self.epoch, 0)
        await self.publisher.__aenter__()
        self._task = asyncio.create_task(self._run())
        self._telling = asyncio.create_task(self._tell_regularly())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def is_connected(self) -> bool:
        """Whether its own connection, which is not the gateway's, is there."""
        return self._client.is_connected

    async def stop(self) -> None:
        """End for good; raises what the keeper failed with."""
        if self._stopped:
            return
        self._stopped = True
        ended = self._task.done()
        for task in (self._task, self._telling):
            task.cancel()
        await asyncio.gather(self._task, self._telling, return_exceptions=True)
        await self.publisher.__aexit__(None, None, None)
        await self._database.close()
        if ended:
            self._task.result()

    def pause(self) -> None:
        """Commit and announce nothing until `resume`."""
        self._going.clear()

    def resume(self) -> None:
        self._going.set()

    async def enter(self, task_id: UUID, status: Status, result: JsonObject | None = None) -> None:
        """Commit a state of a task, then publish its event: DESIGN rule 5. On a busy machine its POST comes first."""
        await eventually(lambda: task_id in self._heads)
        head = self._heads[task_id]
        async with self._database_is_mine:
            version = await self._database.fetchval(
                _ENTER, task_id, status, datetime.now(UTC), json.dumps(result) if result else None, status in FINAL
            )
        data = STATE_EVENTS[status](
            task_id=task_id, kind="goal", from_status="submitted", version=version, attempt=1, result=result
        )
        await self.publisher.publish(head.caused(data, source=SOURCE, index=version, version=version))

    async def open_session(self, session_id: str, owner: str, tenant: str = "acme") -> None:
        """Commit a session, without its event."""
        async with self._database_is_mine:
            await self._database.execute(_SESSION, session_id, tenant, owner)

    async def publish(self, event: Event[EventData]) -> None:
        """Put any event on the bus."""
        await self.publisher.publish(event)

    async def has_folded(self, seq: int) -> bool:
        return self.position >= seq

    async def has_folded_all(self) -> bool:
        """Whether nothing is on the bus that it has not committed."""
        return self.position >= (await self._client.jetstream().stream_info(BUS.name)).state.last_seq

    def head(self, task_id: UUID) -> Event[EventData]:
        """The task.submitted event."""
        return self._heads[task_id]

    async def _run(self) -> None:
        async with AsyncExitStack() as opened:
            reader = await self._open(opened)
            while True:
                await self._going.wait()
                items = [item for item in await reader.batch() if isinstance(item, Delivery)]
                await self._going.wait()
                begun = set(self._heads)
                outcomes = {}
                follow: list[UUID] = []
                async with self._database_is_mine, self._database.transaction():
                    for item in items:
                        event, outcome = await self._commit(item)
                        if event is not None:
                            outcomes[event.id] = outcome
                            if isinstance(event.data, TaskControl) and outcome == "applied":
                                follow.append(event.data.task_id)
                    await self._database.execute(_POSITION, self.epoch, items[-1].seq)
                self.position = items[-1].seq
                await self._tell(outcomes)
                for task_id in follow:
                    await self.enter(task_id, "cancelled")
                if self.finishes:
                    for task_id in set(self._heads) - begun:
                        await self.enter(task_id, self.finishes)

    async def _open(self, opened: AsyncExitStack) -> Reader:
        """A reader; asked for again, as the keeper would, where a busy machine left a question unanswered."""
        while True:
            with suppress(TimeoutError):
                return await opened.enter_async_context(Reader(self._client, BUS.name, 1))

    async def _commit(self, item: Delivery) -> tuple[Event[EventData] | None, str]:
        try:
            event = decode_structured(item.body)
        except InvalidEventError:
            place = f"{self.epoch}-{item.seq}"
            await self._database.execute(
                _LOG, self.epoch, item.seq, "?", place, "?", "?", "?", None, item.time, "poison", item.body, None
            )
            return None, "poison"
        outcome = await self._outcome(event)
        row = (self.epoch, item.seq, event.source, event.id, event.type, event.tenantid, event.ownerid, event.taskid)
        kept = await self._database.fetchval(_LOG, *row, item.time, outcome, item.body, event.sessionid)
        if kept is None:
            return event, "duplicate"
        if isinstance(event.data, TaskSubmitted):
            await self._make_task(event, event.data, item.time)
        return event, outcome

    async def _outcome(self, event: Event[EventData]) -> str:
        if not isinstance(event.data, TaskControl):
            return "applied"
        status = await self._database.fetchval("SELECT status FROM task WHERE id = $1", event.data.task_id)
        if status is None:
            return "refused:no_task"
        return "refused:task_final" if status in FINAL else "applied"

    async def _make_task(self, event: Event[EventData], data: TaskSubmitted, now: datetime) -> None:
        self._heads[data.task_id] = event
        await self._database.execute(
            _TASK,
            data.task_id,
            event.tenantid,
            event.ownerid,
            data.spec.kind,
            data.spec.priority,
            data.spec.model_dump_json(),
            json.dumps(data.spec.required_capabilities),
            data.idempotency_key,
            data.body_sha256,
            event.correlationid,
            now + timedelta(days=1),
            now,
            event.id,
        )

    async def _tell(self, outcomes: dict[str, str]) -> None:
        if self.announces:
            said = Committed(epoch=self.epoch, position=self.position, outcomes=outcomes)
            await self._client.publish(COMMITTED, said.model_dump_json().encode())

    async def _tell_regularly(self) -> None:
        while True:
            await self._going.wait()
            await self._tell({})
            await asyncio.sleep(0.05)
