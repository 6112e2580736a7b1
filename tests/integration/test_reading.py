"""Reading from Postgres: what is wrong with a statement is not mistaken for an absent server."""

from collections.abc import AsyncGenerator
from typing import TypeVar
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import BigInteger, Select, String, bindparam, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from events.errors import StoreUnavailableError
from storage.database import DatabaseSettings
from storage.reading import Database, create_engine, fetch, one_moment
from storage.tasks import find_task

T = TypeVar("T")


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[Database]:
    engine = create_engine(DatabaseSettings(database_url=SecretStr(database_url)))
    yield engine
    await engine.dispose()


def looked_for(value: object, kind: TypeEngine[T]) -> Select[T]:
    """A statement with one parameter."""
    return select(func.coalesce(bindparam("value", value, type_=kind)))


UNKNOWN = pytest.mark.parametrize(
    ("value", "kind"), [("a\0b", String()), ("\ud800", String()), (2**70, BigInteger())], ids=["NUL", "lone", "large"]
)


@UNKNOWN
async def test_data_that_cannot_be_looked_for_is_a_bug_and_no_absence(
    engine: Database, value: object, kind: TypeEngine[object]
) -> None:
    with pytest.raises(DBAPIError):
        await fetch(engine, looked_for(value, kind))


@UNKNOWN
async def test_nor_is_it_one_among_several_reads(engine: Database, value: object, kind: TypeEngine[object]) -> None:
    with pytest.raises(DBAPIError):
        async with one_moment(engine) as connection:
            await connection.execute(looked_for(value, kind))


@UNKNOWN
async def test_who_reads_next_over_the_same_connection_notices_nothing(
    engine: Database, value: object, kind: TypeEngine[object]
) -> None:
    with pytest.raises(DBAPIError):
        await fetch(engine, looked_for(value, kind))
    async with one_moment(engine) as connection:
        assert (await connection.execute(looked_for("x", String()))).scalar() == "x"


async def test_a_server_that_is_not_there_is_an_absence() -> None:
    nowhere = create_engine(DatabaseSettings(database_url=SecretStr("postgresql://nobody@127.0.0.1:1/nothing")))
    with pytest.raises(StoreUnavailableError):
        await fetch(nowhere, select(func.now()))
    await nowhere.dispose()


async def test_no_plan_is_kept_from_when_the_tables_were_small(database_url: str) -> None:
    engine = create_engine(DatabaseSettings(database_url=SecretStr(database_url), database_pool_size=1))
    for _ in range(10):  # from the sixth on Postgres would go by one plan for all
        await find_task(engine, uuid4())
    plans = "SELECT sum(generic_plans)::int, sum(custom_plans)::int FROM pg_prepared_statements WHERE statement LIKE "
    async with engine.connect() as connection:
        counted = (await connection.execute(text(plans + "'SELECT task.%'"))).one()
    await engine.dispose()
    assert tuple(counted) == (0, 10)
