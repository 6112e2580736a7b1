"""How long a server may take to start: a silent one so long, one that says it recovers as long as it says so."""

from collections.abc import AsyncGenerator
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio
from redis.exceptions import BusyLoadingError

from deploy.local import postgres
from deploy.local.errors import ServerStartError
from deploy.local.postgres import PostgresRecipe
from deploy.local.process import Command, Launcher
from deploy.local.server import RECOVERING, Server
from deploy.local.valkey import ValkeyRecipe
from deploy.local.watchdog import Watchdog


class Slow:
    """A server that gives these answers, one after the other, and the last one for ever."""

    name = "postgres"
    url = "postgresql://somewhere"

    def __init__(self, folder: Path, *answers: str | None) -> None:
        self.data = folder
        self._answers = list(answers)

    def choose_ports(self) -> None: ...

    async def prepare(self, launcher: Launcher) -> None: ...

    def command(self) -> Command:
        return Command(("/bin/sleep", "60"), self.data / "postgres.log")

    async def greet(self) -> str | None:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest.fixture
async def launcher(tmp_path: Path) -> AsyncGenerator[Launcher]:
    watchdog = Watchdog()
    with (tmp_path / "lock").open("w") as lock:
        yield Launcher(watchdog, lock.fileno())
    watchdog.close()


async def test_who_recovers_is_not_killed_at_the_deadline(tmp_path: Path, launcher: Launcher) -> None:
    server = Server(Slow(tmp_path, *([RECOVERING] * 20), None), launcher)
    await server.start(within=0.02)
    assert server.pid is not None
    await server.kill()


async def test_who_says_nothing_is_killed_at_the_deadline(tmp_path: Path, launcher: Launcher) -> None:
    server = Server(Slow(tmp_path, RECOVERING, "no answer"), launcher)
    with pytest.raises(ServerStartError, match="no answer"):
        await server.start(within=0.02)
    assert server.pid is None


async def test_what_postgres_and_valkey_say_while_they_read_what_they_had_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def starting_up(*_: object) -> None:
        raise asyncpg.CannotConnectNowError("the database system is starting up")

    async def loading(_: object) -> None:
        raise BusyLoadingError("LOADING")

    monkeypatch.setattr(postgres, "_query", starting_up)
    monkeypatch.setattr(redis.asyncio.Redis, "ping", loading)
    assert await PostgresRecipe(tmp_path, tmp_path, "x").greet() == RECOVERING
    assert await ValkeyRecipe(tmp_path, tmp_path, "x").greet() == RECOVERING
