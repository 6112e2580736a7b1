"""Where the servers of tests keep their data: in memory where there is plenty of it, which takes less of the machine.

What tests do to servers is to kill, freeze and wipe them: what a server has written outlives that in memory too. The
long campaigns (`make chaos`, `make soak`) write to the disk.
"""

import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 - as Linux has it; what is made below it has a name that nobody can guess
_PLENTY = 8 << 30
"""Bytes: all servers of six workers take less than one gibibyte."""


def new_folder() -> Path:
    """A new folder that the servers' user may enter, which pytest's own temporary folders are not for root.

    It is in memory only below pytest, and neither where TMPDIR is set nor where GANGLION_TEST_KEEP lets it stay.
    """
    folder = Path(tempfile.mkdtemp(prefix="ganglion-test-", dir=_place()))
    folder.chmod(0o711)
    return folder


def _place() -> Path | None:
    told = "TMPDIR" in os.environ or os.environ.get("GANGLION_TEST_KEEP")
    if told or "PYTEST_VERSION" not in os.environ or not os.access(_MEMORY, os.W_OK | os.X_OK):
        return None
    return _MEMORY if shutil.disk_usage(_MEMORY).free > _PLENTY else None
