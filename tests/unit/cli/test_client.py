"""Errors of the gateway reach people as one clear line."""

import os
import subprocess
from pathlib import Path

import pytest
from pydantic import JsonValue, SecretStr

from cli.__main__ import main
from cli.client import Gateway, problem_line
from cli.errors import CommandError
from cli.place import ClientSettings, Place, place
from deploy.local.ports import free_port
from deploy.local.runtime import Runtime, write_runtime


def test_a_problem_becomes_one_line_with_code_and_request_id() -> None:
    line = problem_line(
        503,
        {"detail": "The keeper lags.", "code": "overloaded", "retryable": True, "request_id": "r-1", "title": "no"},
    )
    assert line == "The keeper lags. [503 overloaded; try again later; request r-1]"


def test_the_first_faults_of_a_wrong_body_are_named() -> None:
    faults: list[JsonValue] = [{"field": f"f{n}", "message": "is wrong"} for n in range(5)]
    line = problem_line(422, {"detail": "Does not fit.", "code": "invalid_request", "errors": faults})
    assert line == "Does not fit. (f0: is wrong; f1: is wrong; f2: is wrong) [422 invalid_request]"


async def test_a_gateway_that_is_not_there_is_said_so() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with Gateway(Place(url, "t")) as gateway:
        with pytest.raises(CommandError, match=f"{url} cannot be reached"):
            await gateway.tasks({})


def test_without_a_stack_the_user_learns_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="ganglion up"):
        place(ClientSettings(url=None, token=None, home=tmp_path))


def test_a_stack_whose_supervisor_was_killed_runs_no_more(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as gone:  # noqa: S607 - any program will do
        gone.wait()
    told = Runtime(
        gateway_url="http://h", token="t", nats_url="n", database_url="d", redis_url="r", supervisor=1, pids={}
    )
    write_runtime(tmp_path, told.model_copy(update={"supervisor": gone.pid}))
    with pytest.raises(CommandError, match="no stack runs in"):
        place(ClientSettings(url=None, token=None, home=tmp_path))
    write_runtime(tmp_path, told.model_copy(update={"supervisor": os.getpid()}))
    assert place(ClientSettings(url=None, token=None, home=tmp_path)).url == "http://h"


@pytest.mark.parametrize("arguments", [["up"], ["status"], ["submit", "x"], ["rebuild"]])
def test_a_state_folder_that_is_a_file_is_one_line(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANGLION_HOME", str(tmp_path / "file"))
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    told = capfd.readouterr().err
    assert caught.value.code == 1
    assert (str(tmp_path) in told, "Traceback" in told, len(told.splitlines())) == (True, False, 1), told


def test_the_environment_goes_before_the_state_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANGLION_URL", "https://bus.example/")
    monkeypatch.setenv("GANGLION_TOKEN", "secret")
    found = place(ClientSettings())
    assert (found.url, found.socket_url, found.token) == ("https://bus.example", "wss://bus.example/ws", "secret")


@pytest.mark.parametrize("token", ["eyJh\neyJz", "eyJh eyJz", "töken", "eyJh\udcff"])
def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(tmp_path: Path, token: str) -> None:
    with pytest.raises(CommandError, match="GANGLION_TOKEN") as caught:
        place(ClientSettings(url="http://127.0.0.1:1", token=SecretStr(token), home=tmp_path))
    assert token not in str(caught.value)
