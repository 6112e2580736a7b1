"""A nats-server that found its disk full is restarted as soon as there is room, once for each time."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.local.full_disk import ROOM, FullDisk

FULL = (
    "[7] 2026/11/22 16:33:45.953914 [ERR] JetStream failed to store a msg on stream 'GANGLION > BUS': "
    "write /var/1.blk: no space left on device\n"
)
QUOTED = '[7] 2026/11/22 16:33:45.953914 [ERR] 127.0.0.1:4 - cid:5 - "[ERR] JetStream x: no space left on device"\n'


class Nats:
    name = "nats"
    pid = 7

    def __init__(self) -> None:
        self.stops: list[int] = []

    async def start(self) -> None: ...

    async def ended(self) -> str:
        return "stopped"

    async def stop(self) -> int:
        self.stops.append(0)
        return 0


def write(log: Path, text: str) -> None:
    with log.open("a") as lines:
        lines.write(text)


def leave(free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))


async def test_it_is_restarted_when_there_is_room_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nats, log, said = Nats(), tmp_path / "nats.log", list[str]()
    log.write_text(FULL)
    disk = FullDisk([nats], tmp_path, said.append)
    leave(ROOM, monkeypatch)
    await disk.look()
    assert not nats.stops, "what an earlier server said is past"
    leave(ROOM - 1, monkeypatch)
    write(log, FULL)
    await disk.look()
    assert not nats.stops
    leave(ROOM, monkeypatch)
    write(log, FULL)
    await disk.look()
    await disk.look()
    assert len(nats.stops) == 1
    assert len(said) == 1


async def test_only_its_own_words_count_also_in_a_log_that_was_rotated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nats, log = Nats(), tmp_path / "nats.log"
    log.write_text("x" * 1_000)
    disk = FullDisk([nats], tmp_path, print)
    leave(ROOM, monkeypatch)
    write(log, QUOTED)
    await disk.look()
    assert not nats.stops
    log.write_text(FULL)
    await disk.look()
    assert len(nats.stops) == 1
