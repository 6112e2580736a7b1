"""The supervisor around stub roles: start, restart, stop, refusal, and what it leaves behind."""

import asyncio
import os
import re
import signal
import socket
import stat
from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import urlsplit

import jwt
import pytest
import pytest_asyncio

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.runtime import read_runtime
from tests.support.clusters import with_cluster
from tests.support.eventually import eventually
from tests.support.infrastructure import server_folder
from tests.support.processes import is_gone
from tests.support.supervised import Supervised, supervised

STUBS = ("-m", "tests.support.stub_stack", "gateway", "consumers")
SERVERS = {"nats", "postgres", "valkey"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing() -> AsyncGenerator[Supervised]:
    """One stack, with a role that never starts, for the tests that leave it running."""
    with server_folder() as folder:
        async with supervised(folder, (*STUBS, "broken")) as stack:
            await stack.ready()
            yield stack


def pids_of(stack: Supervised) -> list[int]:
    return [pid for pid in stack.runtime.pids.values() if pid]


async def kill_and_see_it_restarted(stack: Supervised, role: str) -> None:
    pid = stack.runtime.pids[role]
    assert pid
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: stack.runtime.restarts[role] == 1, within=15)
    assert stack.runtime.pids[role] not in {pid, None}


async def test_it_prints_where_it_is_with_a_token_and_a_line_to_paste(standing: Supervised) -> None:
    runtime = standing.runtime
    assert set(runtime.pids) == {*SERVERS, "gateway", "consumers", "broken"}
    assert runtime.gateway_url in standing.output
    curl = next(line for line in standing.output.splitlines() if line.startswith("curl"))
    assert f"{runtime.gateway_url}/api/v1/tasks" in curl
    assert "Prefer: wait=10" in curl
    token = curl.split("Bearer ")[1].split("'")[0]
    secret = (standing.home / "secrets" / "jwt").read_text()
    claims = jwt.decode(token, secret, algorithms=["HS256"], audience="ganglion", issuer="ganglion")
    assert (claims["sub"], claims["tenant"]) == ("dev", "dev")
    assert claims["exp"] - claims["iat"] == 86400


async def test_the_runtime_file_is_closed_to_others(standing: Supervised) -> None:
    assert stat.S_IMODE((standing.home / "runtime.json").stat().st_mode) == 0o600


async def test_a_role_and_a_server_that_die_are_started_again_and_said_so(standing: Supervised) -> None:
    before = standing.runtime
    await kill_and_see_it_restarted(standing, "consumers")
    await kill_and_see_it_restarted(standing, "valkey")
    runtime = standing.runtime
    assert runtime.restarts["nats"] == 0
    assert runtime.last_error["valkey"].startswith("SIGKILL")
    assert runtime.redis_url == before.redis_url
    assert "consumers ended (SIGKILL" in standing.output
    assert "valkey is back" in standing.output


async def test_a_role_is_started_again_also_while_the_runtime_file_cannot_be_written(standing: Supervised) -> None:
    file, before = standing.home / "runtime.json", standing.runtime
    file.rename(file.with_name("runtime.before"))
    (file / "in the way").mkdir(parents=True)  # as on a full disk
    os.kill(before.pids["gateway"] or 0, signal.SIGKILL)
    back = r"gateway is back \(pid (\d+)\)"
    await eventually(lambda: re.search(back, standing.output) is not None, within=15)
    assert standing.output.count("runtime.json cannot be kept up") == 1
    (file / "in the way").rmdir()
    file.rmdir()
    os.kill(int(re.findall(back, standing.output)[-1]), signal.SIGKILL)
    await eventually(
        lambda: read_runtime(standing.home) is not None and standing.runtime.restarts["gateway"] == 2, within=15
    )


async def test_a_role_that_cannot_start_is_retried_with_growing_pauses(standing: Supervised) -> None:
    await eventually(lambda: standing.runtime.restarts["broken"] >= 2, within=15)
    assert "no such setting" in standing.runtime.last_error["broken"]
    assert "starting it again in 0.2 s" in standing.output
    assert "starting it again in 0.4 s" in standing.output


async def test_a_second_supervisor_on_the_same_folder_is_refused_and_harms_nothing(standing: Supervised) -> None:
    before = standing.runtime
    async with supervised(standing.home, STUBS) as second:
        await eventually(lambda: second.process.poll() is not None, within=15)
        assert second.process.returncode == 1
        assert f"is in use by process {standing.process.pid}" in second.output, second.output
        assert "stopping" not in second.output  # it would read as if the other one were stopped
    assert standing.runtime.pids["nats"] == before.pids["nats"]
    assert all(not is_gone(pid) for role in SERVERS if (pid := standing.runtime.pids[role]))


async def test_a_clean_stop_ends_the_gateway_first_exits_zero_and_removes_the_runtime_file(
    state_folder: Path,
) -> None:
    logs = [state_folder / "logs" / f"{name}.log" for name in ("gateway", "consumers")]
    async with supervised(await with_cluster(state_folder), STUBS) as stack:
        await stack.ready()
        await eventually(lambda: all("listens" in log.read_text() for log in logs), within=15)
        pids = pids_of(stack)
        assert await stack.stop(signal.SIGINT) == 0
    assert read_runtime(state_folder) is None
    assert len(pids) == 5
    assert all(is_gone(pid) for pid in pids)
    gateway, consumers = (int(log.read_text().split("stopped ")[1]) for log in logs)
    assert gateway < consumers


async def test_a_killed_supervisor_leaves_no_process_behind(state_folder: Path) -> None:
    async with supervised(await with_cluster(state_folder), STUBS) as stack:
        await stack.ready()
        pids = pids_of(stack)
        assert len(pids) == 5
        stack.process.kill()
        await eventually(lambda: all(is_gone(pid) for pid in pids), within=10)


async def test_servers_named_in_the_environment_are_used_and_not_started(state_folder: Path) -> None:
    given = {
        "NATS_URL": "nats://elsewhere:4222",
        "DATABASE_URL": "postgresql://elsewhere/x",
        "REDIS_URL": "redis://elsewhere",
    }
    async with supervised(state_folder, STUBS, given) as stack:
        runtime = await stack.ready()
        assert set(runtime.pids) == {"gateway", "consumers"}
        assert runtime.model_dump(include={"nats_url", "database_url", "redis_url"}) == {
            name.lower(): url for name, url in given.items()
        }


async def test_a_given_server_that_is_away_is_waited_for_and_said_so(state_folder: Path) -> None:
    away = {"NATS_URL": f"nats://127.0.0.1:{free_port()}"}
    async with supervised(await with_cluster(state_folder), env=away) as stack:
        await eventually(lambda: "provision still waits" in stack.output, within=30)
        assert "Connection refused" in stack.output or "Connect call failed" in stack.output, stack.output
        assert await stack.stop() == 0


async def test_a_fixed_port_that_is_taken_is_refused_by_name(state_folder: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        async with supervised(state_folder, STUBS, {"GANGLION_PORT": str(port)}) as stack:
            await eventually(lambda: stack.process.poll() is not None, within=15)
            assert stack.process.returncode == 1
            assert f"port {port} (GANGLION_PORT) is taken" in stack.output


async def test_a_stop_during_the_start_leaves_nothing_running(state_folder: Path) -> None:
    async with supervised(state_folder, STUBS) as stack:
        await eventually((state_folder / "logs" / "nats.log").exists, within=15)
        assert await stack.stop(signal.SIGTERM) == 0
        assert "Ganglion is ready" not in stack.output


def said_in(output: str) -> list[str]:
    """What was said of the start, but that it takes more than five seconds on a busy machine."""
    _, *said = output.splitlines()
    return [line for line in said if not line.startswith("provision still waits or works: ")]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://ann:pass-7f3a@127.0.0.1:{port}/none", r"DATABASE_URL: \[Errno 111\] Connect call failed .*"),
        ("postgresql://ann:pass/7f3a@127.0.0.1/none", "DATABASE_URL: it is none of postgresql://user:password@host.*"),
        ("mysql://ann:pass-7f3a@127.0.0.1/none", "DATABASE_URL: it is none of postgresql://user:password@host.*"),
    ],
)
async def test_a_database_url_that_leads_nowhere_is_said_in_one_line(tmp_path: Path, url: str, reason: str) -> None:
    given = {"DATABASE_URL": url.format(port=free_port())}
    async with supervised(tmp_path, env=given) as stack:
        assert await asyncio.to_thread(stack.process.wait, 60) == 1
        said = said_in(stack.output)
        assert len(said) == 1, stack.output
        assert re.fullmatch(rf"provision failed \(exit code 1: {reason}\); all that it said is in .*", said[0]), said
        assert "7f3a" not in stack.output


async def test_a_database_that_does_not_let_us_in_is_said_in_one_line(tmp_path: Path, database_url: str) -> None:
    wrong = urlsplit(database_url)._replace(path="/nowhere").geturl()
    async with supervised(tmp_path, env={"DATABASE_URL": wrong}) as stack:
        assert await asyncio.to_thread(stack.process.wait, 60) == 1
        said = said_in(stack.output)
        assert [line for line in said if 'DATABASE_URL: database "nowhere" does not exist' in line] == said
        assert len(said) == 1


async def test_the_same_stack_twice_is_in_use_whatever_port_is_asked_for(standing: Supervised) -> None:
    port = standing.runtime.gateway_url.rpartition(":")[2]
    async with supervised(standing.home, (*STUBS, "broken"), env={"GANGLION_PORT": port}) as second:
        assert await asyncio.to_thread(second.process.wait, 30) == 1
        assert f"{standing.home} is in use by process {standing.process.pid}" in second.output
        assert "is taken" not in second.output
