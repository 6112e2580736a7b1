"""What the supervisor does beside: a full disk keeps it from it for a while, and ends nothing that runs."""

import sys
from pathlib import Path

import pytest

from deploy.local.passwords import write_private
from deploy.local.settings import StackSettings
from deploy.local.supervisor import Supervisor, _print


def test_a_chore_that_fails_ends_nothing_and_is_said_once_until_it_was_done(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(StackSettings(home=tmp_path), say=said.append)

    def chore(error: OSError | None = None) -> None:
        with supervisor._can_wait("runtime.json"):
            if error:
                raise error

    full = OSError(28, "No space left on device")
    chore(full)
    chore(full)
    assert len(said) == 1
    assert said[0].startswith("runtime.json cannot be kept up ([Errno 28] No space left on device)")
    chore()
    chore(full)
    assert len(said) == 2


def test_what_defies_replacing_leaves_no_draft_behind(tmp_path: Path) -> None:
    (tmp_path / "runtime.json" / "in the way").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        write_private(tmp_path / "runtime.json", "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["runtime.json"]


def test_what_the_supervisor_says_onto_a_full_disk_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        _print("consumers is back")
        monkeypatch.undo()
        with pytest.raises(OSError, match="No space left"):
            full.close()
