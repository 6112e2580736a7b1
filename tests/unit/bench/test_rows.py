"""The rows that comparisons rely on, by name."""

import json
import os
from pathlib import Path

from bench.figures import Row
from bench.processes import cpu_seconds, rss_mib
from bench.report import save
from bench.rounds import Samples, rows
from tests.support.eventually import eventually

PROMISED = {
    "floor.publish",
    "floor.publish_fsync",
    "floor.consume",
    "accept.rate.1",
    "accept.rate.64",
    "accept.p99_ms.64",
    "e2e.tasks_per_s",
    "e2e.p50_ms.1",
    "e2e.p99_ms.1",
    "rss_mib",
}


def measured() -> Samples:
    samples = Samples()
    for name in ("floor.publish_fsync", "floor.consume", "accept.rate.1", "accept.rate.64"):
        samples.add(name, 1.0)
    for value in (30_000.0, 10_000.0, 20_000.0):
        samples.add("floor.publish", value)
    samples.add("e2e.tasks_per_s", 1_000.0)
    for name in ("rss_mib.gateway", "rss_mib.consumers"):
        samples.add(name, 100.0)
    for name in ("floor.publish.1", "accept.1", "accept.64", "e2e.1", "e2e.256"):
        samples.pool(name, [0.001] * 99 + [0.5])
    return samples


def test_every_promised_row_is_there_once() -> None:
    names = [row.name for row in rows(measured())]
    assert set(names) >= PROMISED
    assert len(names) == len(set(names))


def test_rates_are_shares_of_the_middle_floor_and_memory_is_the_sum_of_ours() -> None:
    found = {row.name: row for row in rows(measured())}
    assert found["e2e.tasks_per_s"] == Row("e2e.tasks_per_s", 1_000.0, "/s", 0.05)
    assert found["rss_mib"].value == 200.0
    assert found["e2e.p99_ms.1"].value == 1.0


def test_a_peer_is_shown_beside_the_same_floor_where_it_was_measured() -> None:
    samples = measured()
    samples.add("peer.celery.tasks_per_s", 500.0)
    samples.pool("peer.celery.1", [0.003] * 100)
    found = {row.name: row for row in rows(samples) if row.name.startswith("peer.")}
    assert found == {
        "peer.celery.tasks_per_s": Row("peer.celery.tasks_per_s", 500.0, "/s", 0.025),
        "peer.celery.p50_ms.1": Row("peer.celery.p50_ms.1", 3.0, "ms", 3.0),
        "peer.celery.p99_ms.1": Row("peer.celery.p99_ms.1", 3.0, "ms", 3.0),
    }


def test_the_file_has_the_shape_that_comparisons_read(tmp_path: Path) -> None:
    save([Row("a", 1.5, "/s", 0.5), Row("b", 2.0, "ms")], tmp_path / "latest.json")
    assert json.loads((tmp_path / "latest.json").read_text()) == {
        "rows": [
            {"name": "a", "value": 1.5, "unit": "/s", "ratio": 0.5},
            {"name": "b", "value": 2.0, "unit": "ms", "ratio": None},
        ]
    }


async def test_work_shows_in_the_cpu_seconds_of_a_process() -> None:
    ours = {"us": os.getpid()}
    before = cpu_seconds(ours)["us"]
    await eventually(lambda: sum(range(200_000)) and cpu_seconds(ours)["us"] > before, within=10)
    assert rss_mib(ours)["us"] > 5
