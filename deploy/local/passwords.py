"""Generated secrets that outlive a restart: one file each, readable by their owner only."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def kept_password(folder: Path, name: str) -> str:
    """The password called `name`, drawn at the first call, then read back (mode 0600, folder 0700)."""
    return kept_secret(folder, name, lambda: secrets.token_urlsafe(32))


def kept_secret(folder: Path, name: str, draw: Callable[[], str]) -> str:
    """As `kept_password`, for a secret of a form of its own."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / name
    if not path.exists():
        write_private(path, draw())
    return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Replace a file atomically by one that only its owner can read."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    # O_EXCL follows no link: the folder may belong to the servers' user, and we may be root.
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:  # a full disk
        draft.unlink(missing_ok=True)
        raise
