"""The facts of one run of what we call: numbered, snapshots whole, large files in events of their own."""

from collections.abc import Iterator, Mapping

import orjson

from consumers._execution import Execution
from events.base import JsonObject
from events.errors import InvalidPathError, PermanentError
from events.files import MAX_FILE_BYTES, MAX_TOTAL_BYTES, checked_tree, digest_of, relative_path
from events.run import (
    File,
    Outcome,
    RunDelayed,
    RunDelta,
    RunFiles,
    RunFinished,
    RunProgress,
    RunStarted,
    Snapshot,
    Usage,
)
from events.task import TaskError

LARGE = 256 * 1024
_INLINE = 512 * 1024
_EVENT = 900 * 1024
_ENTRY = 240
"""Bytes of one file in an event beside its path and its text."""


class HostileFilesError(PermanentError):
    """Files cannot be kept: a path is not safe, or they are more than a specification may hold."""

    code = "hostile_files"


def checked_files(files: Mapping[str, str]) -> dict[str, str]:
    """Somebody's files under our paths (relative; an engine's own are rooted in its virtual folder).

    Raises HostileFilesError, which says what is wrong and never names the path.
    """
    try:
        found = {relative_path(path): text for path, text in files.items()}
        checked_tree(found)
    except InvalidPathError as error:
        raise HostileFilesError(f"The files were refused: {error.detail}.") from None
    if len(found) != len(files):
        raise HostileFilesError("The files were refused: two have the same path.")
    sizes = [len(text.encode(errors="replace")) for text in found.values()]
    if max(sizes, default=0) > MAX_FILE_BYTES or sum(sizes) > MAX_TOTAL_BYTES:
        raise HostileFilesError("The files were refused: they are too large.")
    return {path: _clean(text) for path, text in found.items()}


def _clean(text: str) -> str:
    """Lone surrogates, which no UTF-8 exists for, as question marks."""
    return text if text.isascii() else text.encode(errors="replace").decode()


class Facts:
    """Makes the facts of one execution, in the order in which the consumer `source` publishes them."""

    def __init__(self, execution: Execution, source: str) -> None:
        self._names = execution.named()
        self._source = source
        self._progress = self._deltas = self._offset = self._snapshots = 0
        self._parts: dict[str, str] = {}
        self.last: Snapshot | None = None

    def delayed(self, reason: str) -> RunDelayed:
        """It cannot begin yet."""
        return RunDelayed(**self._names, reason=reason)

    def started(self, engine_ref: str | None = None) -> RunStarted:
        """It has the job, or is about to get it; `engine_ref` is what it calls the run."""
        return RunStarted(**self._names, engine_ref=engine_ref)

    def alive(self, note: str | None = None) -> RunProgress:
        """A sign of life."""
        self._progress += 1
        return RunProgress(**self._names, seq=self._progress, note=note)

    def said(self, text: str) -> RunDelta:
        """A piece of what is being written."""
        self._deltas += 1
        delta = RunDelta(**self._names, seq=self._deltas, offset=self._offset, text=_clean(text))
        self._offset += len(delta.text)
        return delta

    def snapshot(self, files: Mapping[str, str], media_types: Mapping[str, str] | None = None) -> Iterator[RunFiles]:
        """All files as they are now, after those that travel alone; nothing if they are the last snapshot's.

        `media_types`: of files that do not go by the end of their name.
        """
        described = {path: File.of(path, text) for path, text in files.items()}
        for path, media_type in (media_types or {}).items():
            described[path] = described[path].model_copy(update={"media_type": media_type})
        digest = digest_of({path: file.sha256 for path, file in described.items()})
        if self.last is not None and digest == self.last.digest:
            return
        self._snapshots += 1
        for path in _alone(described):
            sha256 = described[path].sha256
            if sha256 not in self._parts:
                part = self._event({path: described[path]}, part=True)
                self._parts[sha256] = part.event_id(self._source)
                yield part
            described[path] = described[path].model_copy(update={"content": None, "ref": self._parts[sha256]})
        whole = self._event(described)
        self.last = Snapshot(event_id=whole.event_id(self._source), seq=self._snapshots, digest=digest)
        yield whole

    def finished(
        self,
        outcome: Outcome,
        ms: float,
        *,
        text: str | None = None,
        output: JsonObject | None = None,
        tokens: int = 0,
        cost_usd: float = 0.0,
        error: TaskError | None = None,
    ) -> RunFinished:
        """The end, with the name of the last snapshot; a `text` alone is the whole output."""
        return RunFinished(
            **self._names,
            outcome=outcome,
            output=output if text is None else {"text": _clean(text)},
            error=error,
            usage=Usage(tokens=tokens, cost_usd=cost_usd, ms=ms),
            snapshot=self.last,
        )

    def _event(self, files: dict[str, File], *, part: bool = False) -> RunFiles:
        return RunFiles(**self._names, snapshot_seq=self._snapshots, files=files, part=part)


def _alone(files: Mapping[str, File]) -> list[str]:
    """The paths of files that do not fit into one event with the others: the large ones, then the largest others."""
    sizes = {path: len(orjson.dumps(file.content)) for path, file in files.items()}
    if max(sizes.values(), default=0) > _EVENT:
        raise HostileFilesError("The files were refused: one does not fit into an event.")
    room = _EVENT - sum(len(path.encode()) + _ENTRY for path in files)
    if room < 0:
        raise HostileFilesError("The files were refused: their paths do not fit into an event.")
    largest_first = sorted(sizes, key=lambda path: (-sizes[path], path))
    alone = [path for path in largest_first if files[path].size > LARGE]
    rest = [path for path in largest_first if path not in alone]
    while sum(sizes[path] for path in rest) > min(_INLINE, room):
        alone.append(rest.pop(0))
    return alone
