"""Children: logs stay bounded, and a watchdog that dies is no reason to fail."""

from pathlib import Path

from deploy.local.process import rotate


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    log.write_text("line\n")
    rotate(log)
    assert log.read_text() == "line\n"


def test_a_large_log_is_moved_aside_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    with log.open("ab") as writer:
        writer.write(b"x" * (10 * 2**20 + 1))
        writer.flush()
        rotate(log)
        writer.write(b"after\n")
    assert log.read_text() == "after\n"
    assert (tmp_path / "gateway.log.1").stat().st_size == 10 * 2**20
    rotate(log)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gateway.log", "gateway.log.1"]
