"""`ganglion rebuild` says in one line why it cannot."""

import os
import subprocess
import sys

import pytest

from deploy.local.ports import LOOPBACK, free_port


@pytest.mark.parametrize("arguments", [[], ["--check"]])
def test_a_database_that_is_away_is_told_without_a_traceback(arguments: list[str]) -> None:
    url = f"postgresql://nobody@{LOOPBACK}:{free_port()}/nothing"
    done = subprocess.run(  # noqa: S603 - the test's own words
        [sys.executable, "-m", "cli", "rebuild", *arguments],
        env=os.environ | {"DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: the database of DATABASE_URL cannot be rebuilt")
    assert len(done.stderr.splitlines()) == 1
