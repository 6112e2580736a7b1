"""`ganglion archive` asks for what belongs together, and says in one line why it cannot."""

import pytest

from cli.__main__ import main
from deploy.local.ports import LOOPBACK, free_port


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--to", "x"], "--before"),
        (["--dry-run"], "--before"),
        (["--before", "2026-01-01"], "--to"),
        (["--before", "2026-01-01", "--to", "x", "--dry-run"], "--to"),
        (["--restore", "x", "--before", "2026-01-01"], "--restore"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    arguments: list[str], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["archive", *arguments])
    assert caught.value.code == 2
    assert says in capfd.readouterr().err


def test_a_database_that_is_away_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://nobody@{LOOPBACK}:{free_port()}/nothing")
    monkeypatch.setenv("NATS_URL", f"nats://{LOOPBACK}:{free_port()}")
    with pytest.raises(SystemExit) as caught:
        main(["archive"])
    told = capfd.readouterr()
    assert (caught.value.code, told.out) == (1, "")
    assert told.err.startswith("error: ")
    assert len(told.err.splitlines()) == 1
