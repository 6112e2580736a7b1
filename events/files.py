"""Files of a specification: paths that are safe on every system, and the digest that names a whole set.

A path is relative, in NFC, with `/` between its names. What a set may hold is bounded: 500 files, 700,000 bytes a
file (it must fit into one event), 4 MiB in all.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Annotated, NamedTuple, TypeVar

from pydantic import AfterValidator

from events.errors import InvalidPathError

MAX_PATH = 500
MAX_NAME_BYTES = 255
MAX_FILES = 500
MAX_FILE_BYTES = 700_000
MAX_TOTAL_BYTES = 4 * 1024 * 1024
MAX_SHARED_FILE = 256 * 1024
"""Bytes of a file that may travel with others; a larger one has an event of its own."""
SHA256 = r"^[0-9a-f]{64}$"
MEDIA_TYPE = r"^[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,40}$"

_NEVER = frozenset('\\:*?"<>|')
"""Separators, drives, streams and wildcards of some system, or quotes of some tool."""
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that a reviewer cannot see or that turn the text around (UAX 44)."""
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))})
_MEDIA_TYPES = {
    "md": "text/markdown",
    "json": "application/json",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "toml": "application/toml",
    "xml": "application/xml",
    "html": "text/html",
    "css": "text/css",
    "csv": "text/csv",
    "js": "text/javascript",
    "py": "text/x-python",
}


class Difference(NamedTuple):
    """How one set of files differs from another, paths in order."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths that differ."""
        return tuple(sorted((*self.added, *self.changed, *self.removed)))


def checked_path(path: str) -> str:
    """Return `path` if it is a safe relative one, else raise InvalidPathError, which says why and not what."""
    if not 0 < len(path) <= MAX_PATH:
        raise InvalidPathError(f"a path has 1 to {MAX_PATH} characters")
    if path.startswith("/"):
        raise InvalidPathError("a path is relative")
    if any(character in _NEVER or _is_unseen(character) for character in path):
        raise InvalidPathError("a path holds no control or invisible characters and none of " + "".join(sorted(_NEVER)))
    if not unicodedata.is_normalized("NFC", path):
        raise InvalidPathError("a path is in Unicode's normal form C")
    for name in path.split("/"):
        _check_name(name)
    return path


def _is_unseen(character: str) -> bool:
    """The space is the one blank that is taken for what it is."""
    category = unicodedata.category(character)
    return category in _UNSEEN or (category == "Zs" and character != " ")


def _check_name(name: str) -> None:
    if name in ("", ".", ".."):
        raise InvalidPathError("a path has no empty names, no `.` and no `..`")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidPathError(f"a name in a path has at most {MAX_NAME_BYTES} bytes")
    if name != name.strip(" ") or name.endswith("."):
        raise InvalidPathError("a name in a path neither begins nor ends with a space, nor ends with a dot")
    folded = name.casefold()
    if folded == ".git" or folded.partition(".")[0] in _DEVICES:
        raise InvalidPathError("a name in a path is one that some systems reserve")


def relative_path(path: str) -> str:
    """An engine's path (`/THE_SPEC/plan.md`, rooted in its virtual folder) as ours. Raises InvalidPathError."""
    return checked_path(path.removeprefix("/"))


def checked_tree(paths: Iterable[str]) -> None:
    """Raise InvalidPathError unless all paths are safe and can lie side by side on every file system.

    Refused are two that differ only in case, and one that is a folder of another.
    """
    files: set[str] = set()
    folders: dict[str, str] = {}
    for path in paths:
        folded = checked_path(path).casefold()
        if folded in files:
            raise InvalidPathError("two paths differ only in case")
        files.add(folded)
        names = path.split("/")
        for depth in range(1, len(names)):
            folder = "/".join(names[:depth])
            if folders.setdefault(folder.casefold(), folder) != folder:
                raise InvalidPathError("two folders differ only in case")
    if len(files) > MAX_FILES:
        raise InvalidPathError(f"at most {MAX_FILES} files")
    if not files.isdisjoint(folders):
        raise InvalidPathError("a path is a file and a folder")


F = TypeVar("F", bound=Mapping[str, object])


def _valid_path(path: str) -> str:
    try:
        return checked_path(path)
    except InvalidPathError as error:
        raise ValueError(error.detail) from None


def _valid_tree(files: F) -> F:
    try:
        checked_tree(files)
    except InvalidPathError as error:
        raise ValueError(error.detail) from None
    return files


FilePath = Annotated[str, AfterValidator(_valid_path)]
"""A safe relative path, as a field of an event or a body."""
Tree = AfterValidator(_valid_tree)
"""Annotates a mapping whose keys are paths that can lie side by side."""


def sha256_of(content: str) -> str:
    """The digest of one file's text (UTF-8), in hexadecimal."""
    return hashlib.sha256(content.encode()).hexdigest()


def digest_of(files: Mapping[str, str]) -> str:
    """The digest of a set (path -> sha256): that of its listing, `<sha256>  <path>` as sha256sum writes it, by path."""
    lines = "".join(f"{files[path]}  {path}\n" for path in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def media_type_of(path: str) -> str:
    """What kind of text a file is, by the end of its name."""
    return _MEDIA_TYPES.get(path.rpartition(".")[2].casefold(), "text/plain")


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> Difference:
    """What has to happen to `before` (path -> sha256) to become `after`."""
    return Difference(
        added=tuple(sorted(after.keys() - before.keys())),
        changed=tuple(sorted(path for path in before.keys() & after.keys() if before[path] != after[path])),
        removed=tuple(sorted(before.keys() - after.keys())),
    )
