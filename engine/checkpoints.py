"""Where threads outlive the process: LangGraph's checkpoints, and one record a thread, in the schema `engine`."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal, Self, cast

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.store.postgres.aio import AsyncPostgresStore
from psycopg import AsyncConnection, InterfaceError, OperationalError
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from typing_extensions import TypedDict

from engine.errors import StoreAwayError

Status = Literal["running", "completed", "failed"]


class Failure(TypedDict):
    """Why a thread failed: a stable code, a friendly text, and whether another try may help."""

    code: str
    message: str
    retryable: bool


STORE_FAULTS = (OperationalError, InterfaceError, PoolTimeout)
"""What the driver raises when the database is away."""

_THREADS = ("threads",)
_PAGE = 100
_SEARCH_PATH = "-c search_path=engine,public"


class Record(TypedDict):
    """What is known of a thread besides its checkpoints."""

    status: Status
    trace_id: str
    error: Failure | None


class Checkpoints:
    """Saver and records on one pool; `async with` opens it. Every method raises StoreAwayError."""

    def __init__(self, url: str, *, connections: int = 8, timeout: float = 5.0) -> None:
        self._pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
            url,
            open=False,
            min_size=1,
            max_size=connections,
            timeout=timeout,
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "prepare_threshold": 0,
                "connect_timeout": 5,
                "options": _SEARCH_PATH,
                "application_name": "ganglion-engine",
            },
        )
        self._saver: AsyncPostgresSaver | None = None
        self._store: AsyncPostgresStore | None = None

    async def __aenter__(self) -> Self:
        await self._pool.open(wait=False)
        self._saver = AsyncPostgresSaver(self._pool)
        self._store = AsyncPostgresStore(self._pool)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close(timeout=2.0)

    @property
    def saver(self) -> AsyncPostgresSaver:
        """LangGraph's checkpointer."""
        assert self._saver is not None  # noqa: S101  # only used inside of `async with`
        return self._saver

    @property
    def _records(self) -> AsyncPostgresStore:
        assert self._store is not None  # noqa: S101  # as above
        return self._store

    async def prepare(self) -> None:
        """Create or migrate LangGraph's tables."""
        with store_faults():
            await self.saver.setup()
            await self._records.setup()

    async def ping(self) -> None:
        """One round trip."""
        with store_faults():
            async with self._pool.connection(timeout=2.0) as connection:
                await AsyncConnectionPool.check_connection(connection)

    async def record(self, thread_id: str) -> Record | None:
        """What is known of a thread."""
        with store_faults():
            item = await self._records.aget(_THREADS, thread_id)
        return cast("Record", item.value) if item else None

    async def note(self, thread_id: str, record: Record) -> None:
        """Replace what is known of a thread."""
        with store_faults():
            await self._records.aput(_THREADS, thread_id, dict(record))

    async def prune(self, thread_id: str) -> None:
        """Keep a thread's newest checkpoint only: each holds all of its files."""
        with store_faults():
            await self.saver.aprune([thread_id], strategy="keep_latest")

    async def forget(self, thread_id: str) -> None:
        """Delete checkpoints and record; harmless when there are none."""
        with store_faults():
            await self.saver.adelete_thread(thread_id)
            await self._records.adelete(_THREADS, thread_id)

    async def unfinished(self) -> list[tuple[str, Record]]:
        """The threads that were running when they were last heard of."""
        return [found async for found in self._search({"status": "running"}, None)]

    async def ended_before(self, moment: datetime) -> list[str]:
        """The threads that ended, well or not, before this moment."""
        return [thread_id async for thread_id, _ in self._search({"status": {"$ne": "running"}}, moment)]

    async def _search(self, wanted: dict[str, object], before: datetime | None) -> AsyncIterator[tuple[str, Record]]:
        offset = 0
        while True:
            with store_faults():
                page = await self._records.asearch(_THREADS, filter=wanted, limit=_PAGE, offset=offset)
            for item in page:
                if before is None or item.updated_at < before:
                    yield item.key, cast("Record", item.value)
            if len(page) < _PAGE:
                return
            offset += _PAGE


@contextmanager
def store_faults() -> Iterator[None]:
    """Raise StoreAwayError for what the driver raises when the database is away."""
    try:
        yield
    except STORE_FAULTS as error:
        raise StoreAwayError from error
