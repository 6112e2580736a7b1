"""Following the logs of the local stack."""

from pathlib import Path

import pytest

from cli.errors import CommandError
from cli.logs import added_since, files, last_lines


def test_a_role_without_a_log_names_those_that_have_one(tmp_path: Path) -> None:
    (tmp_path / "gateway.log").touch()
    with pytest.raises(CommandError, match=r"no log of router .*; there are logs of gateway"):
        files(tmp_path, "router")


def test_only_complete_lines_are_told_and_none_twice(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    log.write_text("one\ntwo\n")
    last, place = last_lines(log, 1)
    assert last == ["two"]
    with log.open("a") as more:
        more.write("three\nfo")
    assert added_since(log, place) == (["three"], place + 6)
    with log.open("a") as more:
        more.write("ur\n")
    assert added_since(log, place + 6)[0] == ["four"]


def test_a_log_cut_short_by_rotation_starts_over(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    log.write_text("new\n")
    assert added_since(log, 10_000) == (["new"], 4)
