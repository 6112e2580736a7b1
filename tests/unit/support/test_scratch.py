"""Servers of tests write to memory only where there is plenty of it, and where nobody wants to look into it later."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support import scratch


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for it, with much room."""
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.delenv("GANGLION_TEST_KEEP", raising=False)
    monkeypatch.setattr(scratch, "_MEMORY", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 << 30))
    return tmp_path


def parent_of_a_new_one() -> Path:
    folder = scratch.new_folder()
    assert folder.stat().st_mode & 0o777 == 0o711
    folder.rmdir()
    return folder.parent


def test_a_folder_is_in_memory_where_there_is_plenty(memory: Path) -> None:
    assert parent_of_a_new_one() == memory


@pytest.mark.parametrize("named", ["TMPDIR", "GANGLION_TEST_KEEP"])
def test_it_is_on_the_disk_where_somebody_says_so(memory: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv(named, "/tmp")  # noqa: S108 - nothing is written there by name
    assert parent_of_a_new_one() != memory


def test_it_is_on_the_disk_for_campaigns(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_VERSION")
    assert parent_of_a_new_one() != memory


def test_it_is_on_the_disk_where_memory_is_scarce_or_is_none(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=64 << 20))
    assert parent_of_a_new_one() != memory
    monkeypatch.setattr(scratch, "_MEMORY", memory / "nothing")
    assert parent_of_a_new_one() != memory
