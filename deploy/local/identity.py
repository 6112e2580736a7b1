"""Which operating system user the servers run as."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """A user to become before a server is executed."""

    name: str
    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Make this user the owner of one file or folder."""
        os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def can_reach(self, path: Path) -> bool:
        """Say whether every folder above `path` may be entered by strangers, and `path` be read and executed.

        Looks at the bits for others only: nobody owns nothing and is in no group.
        """
        return path.stat().st_mode & 0o005 == 0o005 and self.can_enter(path.parent)

    def can_enter(self, folder: Path) -> bool:
        """Say whether `folder` and every folder above it may be passed through by strangers."""
        return all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents))


def unprivileged() -> Identity | None:
    """Who runs the servers: `nobody` when we are root (Postgres refuses uid 0), else None: ourselves."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Identity(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)
