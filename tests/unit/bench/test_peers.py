"""Measuring another task queue: its worker runs meanwhile and is gone afterwards, whatever happens."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.beside import Carried, PeerError
from bench.peers.__main__ import measure
from bench.rounds import Samples, measure_peer
from tests.support.eventually import eventually

_WORKER = "import os, pathlib, time; pathlib.Path({!r}).write_text(str(os.getpid())); time.sleep(600)"


class Peer:
    """A queue that is done at once, when its worker has begun; it fails after so many tasks."""

    name = "none"

    def __init__(self, begun: Path, fails_after: int) -> None:
        self.worker: Sequence[str] = (sys.executable, "-c", _WORKER.format(str(begun)))
        self.carried, self.is_open = 0, False
        self._begun, self._fails_after = begun, fails_after

    async def open(self) -> None:
        self.is_open = True

    async def close(self) -> None:
        self.is_open = False

    async def many(self, count: int) -> None:
        self.carried += count

    async def one(self) -> None:
        await eventually(lambda: self._begun.exists() and self._begun.read_text() != "", within=10)
        self.carried += 1
        if self.carried > self._fails_after:
            raise ConnectionError("the server is away")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_peer_gives_a_rate_and_the_seconds_of_each_task_alone(tmp_path: Path) -> None:
    peer = Peer(tmp_path / "begun", fails_after=100_000)
    found = await measure(peer)
    assert found.keys() == {"rate", "seconds"}
    assert peer.carried == 1 + 300 + 3_000 + 200
    assert not peer.is_open
    assert not _runs(int((tmp_path / "begun").read_text()))


async def test_a_peer_that_fails_leaves_no_worker(tmp_path: Path) -> None:
    peer = Peer(tmp_path / "begun", fails_after=3_310)
    with pytest.raises(ConnectionError):
        await measure(peer)
    assert not peer.is_open
    assert not _runs(int((tmp_path / "begun").read_text()))


async def test_one_that_cannot_be_measured_is_left_out_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(peer: str) -> Carried:
        raise PeerError(f"{peer}: no connection")

    said: list[str] = []
    samples = Samples()
    monkeypatch.setattr("bench.rounds.carried", fails)
    await measure_peer("celery", samples, said.append)
    assert said == ["celery is left out of this round: celery: no connection"]
    assert samples == Samples()
