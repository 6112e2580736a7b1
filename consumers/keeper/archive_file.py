"""An archive's file: the rows of the log that were taken out, one JSON object a line, compressed.

The same rows give the same bytes. It holds what users wrote, so nobody but its owner may read it.
"""

import gzip
import hashlib
import os
import zlib
from base64 import b64decode, b64encode
from collections.abc import AsyncIterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

import orjson

from events.errors import PermanentError
from storage.archive import LogRow

_PORTION_ROWS, _PORTION_BYTES = 500, 16 * 1024 * 1024


class ArchiveFileError(PermanentError):
    """The file is not what was written to it."""

    code = "archive_file"


@dataclass(frozen=True, slots=True)
class Written:
    """What a file holds: how many rows, the bytes of their events, the first and the last of them, and its digest."""

    rows: int
    bytes: int
    first: LogRow
    last: LogRow
    sha256: str


async def write(path: Path, pages: AsyncIterable[list[LogRow]]) -> Written | None:
    """Write all rows, wait for the disk, and read them again; None, and no file, if there are none.

    Raises ArchiveFileError if what is read is not what was written.
    """
    lines, count, size = hashlib.sha256(), 0, 0
    first = last = None
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            async for page in pages:
                for row in page:
                    line = line_of(row)
                    packed.write(line)
                    lines.update(line)
                    count, size = count + 1, size + len(row.body)
                first, last = first or page[0], page[-1]
        file.flush()
        os.fsync(file.fileno())
    if first is None or last is None:
        _drop(path)
        return None
    return Written(count, size, first, last, _verified(path, count, lines.hexdigest()))


def _drop(path: Path) -> None:
    path.unlink()


def _verified(path: Path, count: int, sha256: str) -> str:
    lines, found = hashlib.sha256(), 0
    try:
        with gzip.open(path) as packed:
            for line in packed:
                lines.update(line)
                found += 1
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ArchiveFileError from error
    if (found, lines.hexdigest()) != (count, sha256):
        raise ArchiveFileError
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def keep(partial: Path, path: Path) -> None:
    """Give a whole file its name, for good, if that was not done yet."""
    if path.exists():
        return
    partial.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def digest(path: Path) -> str | None:
    """The SHA-256 of a file; None if there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def portions(path: Path) -> Iterator[list[LogRow]]:
    """The rows of a file in order, some at a time. Raises ArchiveFileError."""
    portion: list[LogRow] = []
    size = 0
    try:
        with gzip.open(path) as packed:
            for line in packed:
                portion.append(row_of(line))
                size += len(line)
                if len(portion) == _PORTION_ROWS or size > _PORTION_BYTES:
                    yield portion
                    portion, size = [], 0
    except (EOFError, gzip.BadGzipFile, zlib.error, KeyError, ValueError) as error:
        raise ArchiveFileError from error
    if portion:
        yield portion


def line_of(row: LogRow) -> bytes:
    """A row as a line."""
    told = {
        **dict(zip(("epoch", "seq", "source", "id", "type", "tenant", "owner"), row, strict=False)),
        "task": None if row.task_id is None else str(row.task_id),
        "session": row.session_id,
        "time": row.time.isoformat(timespec="microseconds"),
        "outcome": row.outcome,
        "body": b64encode(row.body).decode(),
    }
    return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)


def row_of(line: bytes) -> LogRow:
    """The row that a line was made of. Raises KeyError, ValueError."""
    told = orjson.loads(line)
    return LogRow(
        epoch=told["epoch"],
        seq=told["seq"],
        source=told["source"],
        id=told["id"],
        type=told["type"],
        tenant=told["tenant"],
        owner=told["owner"],
        task_id=None if told["task"] is None else UUID(told["task"]),
        session_id=told["session"],
        time=datetime.fromisoformat(told["time"]),
        outcome=told["outcome"],
        body=b64decode(told["body"], validate=True),
    )
