"""What a handler may say while it works; everything it says is about its own run."""

from collections.abc import Mapping, Sequence
from typing import Literal
from uuid import UUID, uuid4

from pydantic import JsonValue

from events.base import JsonObject
from events.files import MAX_FILE_BYTES, MAX_SHARED_FILE, checked_tree, digest_of
from events.run import MAX_DELTA, File
from producers.agents.errors import AgentError, NotMineError
from producers.agents.line import Lines, is_over
from producers.agents.work import Task
from producers.sdk.errors import RefusedError

FACT_WITHIN = 120.0
_RUN_IS_OVER = {"not_running", "run_has_ended", "other_execution"}
_MAX_TOGETHER = 512 * 1024
"""Bytes of the files that travel in one event; a fact may have 700 KiB, with paths, digests and JSON's escapes."""


class Context:
    """The way from one run to Ganglion. A method raises NotMineError when the run is over or somebody else's."""

    def __init__(self, lines: Lines, task: Task) -> None:
        self._lines = lines
        self._task = task
        self._said = 0
        self._spoken = 0
        self._snapshots = 0
        self._kept: dict[tuple[str, str], str] = {}
        self.execution_id: UUID = uuid4()
        self.snapshot: JsonObject | None = None
        self.tokens = 0
        self.cost_usd = 0.0

    async def progress(self, percent: float | None = None, note: str | None = None) -> None:
        """Say how far it is. A sign of life is sent every 20 s even without."""
        said: JsonObject = {"seq": self._next(), "usage": self.usage}
        if percent is not None:
            said["percent"] = percent
        if note is not None:
            said["note"] = note[:2_000]
        await self.state("run.progress", said)

    async def checkpoint(self, data: JsonObject, note: str | None = None) -> None:
        """Keep what another attempt needs to go on from here: it is given it as `task.checkpoint`.

        64 KiB of JSON at most. Raises AgentError (`output_too_large`), which fails the task for good.
        """
        said: JsonObject = {"seq": self._next(), "usage": self.usage, "checkpoint": data}
        if note is not None:
            said["note"] = note[:2_000]
        await self.state("run.progress", said)

    async def say(self, text: str) -> None:
        """Show a piece of the answer to who listens while it is made; what counts is what the function returns."""
        for start in range(0, len(text), MAX_DELTA):
            piece = text[start : start + MAX_DELTA]
            await self.state("run.delta", {"seq": self._next(), "offset": self._spoken, "text": piece})
            self._spoken += len(piece)

    async def tool_call(
        self,
        tool: str,
        parameters: JsonObject | None = None,
        result: JsonObject | None = None,
        *,
        status: Literal["succeeded", "failed"] = "succeeded",
    ) -> None:
        """Say that a tool was used, with what and with what result."""
        said: JsonObject = {
            "seq": self._next(),
            "tool": tool,
            "parameters": parameters or {},
            "result": result,
            "status": status,
        }
        await self.state("run.tool_called", said)

    async def files(self, files: Mapping[str, str]) -> None:
        """Say what all files are now (path -> text): it replaces what was said before.

        What has not changed is not sent again; what is large travels alone. Raises AgentError (`output_too_large`) for
        a file above 700,000 bytes, InvalidPathError for paths that are not safe; either fails the task for good.
        """
        checked_tree(files)
        for path, text in files.items():
            if len(text.encode()) > MAX_FILE_BYTES:
                raise AgentError(f"{path} is larger than Ganglion takes.", code="output_too_large")
        made = {path: File.of(path, text) for path, text in files.items()}
        seq = self._snapshots = self._snapshots + 1
        for path in self._alone(made):
            await self._send_alone(path, made[path], seq)
        listed: JsonObject = {path: self._listed(path, file) for path, file in made.items()}
        receipt = await self.state("run.files", {"snapshot_seq": seq, "files": listed})
        for path, file in made.items():
            self._kept.setdefault((path, file.sha256), str(receipt["event_id"]))
        digest = digest_of({path: file.sha256 for path, file in made.items()})
        self.snapshot = {"event_id": receipt["event_id"], "seq": seq, "digest": digest}

    async def change_context(
        self,
        context_id: UUID,
        put: JsonObject | None = None,
        *,
        delete: Sequence[str] = (),
        expected_version: int | None = None,
    ) -> None:
        """Put values at places of dot-separated keys, and take away what is at others: all of it or nothing.

        Only a context that the task's references let its agent write (`context:ID?write`). Raises RefusedError, as with
        `context_conflict` if the context has another version than expected.
        """
        puts: list[JsonValue] = [{"op": "set", "path": place, "value": value} for place, value in (put or {}).items()]
        deletes: list[JsonValue] = [{"op": "delete", "path": place} for place in delete]
        said: JsonObject = {"action": "change", "context_id": str(context_id), "ops": [*puts, *deletes]}
        if expected_version is not None:
            said["expected_version"] = expected_version
        self._said += 1
        try:
            await self._lines.state(
                "context.change", f"{self.execution_id}.{self._said}", self._named | said, within=FACT_WITHIN
            )
        except RefusedError as refusal:
            if refusal.code in _RUN_IS_OVER:
                raise NotMineError(refusal.code) from refusal
            raise

    def spent(self, tokens: int = 0, cost_usd: float = 0.0) -> None:
        """Note what was spent more; it is told with the next sign of life and at the end."""
        self.tokens += tokens
        self.cost_usd += cost_usd

    @property
    def usage(self) -> JsonObject:
        """What was spent so far."""
        return {"tokens": self.tokens, "cost_usd": self.cost_usd}

    async def state(self, name: str, data: JsonObject, *, within: float = FACT_WITHIN) -> JsonObject:
        """State a fact of this run: the receipt. Raises NotMineError, RefusedError, TimeoutError."""
        self._said += 1
        try:
            return await self._lines.state(name, f"{self.execution_id}.{self._said}", self._named | data, within=within)
        except RefusedError as refusal:
            if refusal.code == "output_too_large":
                raise AgentError("The output is larger than Ganglion takes.", code=refusal.code) from refusal
            if is_over(refusal):
                raise NotMineError(refusal.code) from refusal
            raise

    @property
    def _named(self) -> JsonObject:
        return {
            "task_id": str(self._task.id),
            "attempt": self._task.attempt,
            "execution_id": str(self.execution_id),
        }

    def _next(self) -> int:
        return self._said + 1

    def _alone(self, made: Mapping[str, File]) -> list[str]:
        """The paths whose text must travel in an event of its own, the largest first."""
        fresh = {path: _size(file) for path, file in made.items() if (path, file.sha256) not in self._kept}
        together = sum(fresh.values())
        alone = []
        for path, size in sorted(fresh.items(), key=lambda pair: -pair[1]):
            if size <= MAX_SHARED_FILE and together <= _MAX_TOGETHER:
                break
            alone.append(path)
            together -= size
        return alone

    async def _send_alone(self, path: str, file: File, seq: int) -> None:
        said: JsonObject = {"snapshot_seq": seq, "files": {path: _dumped(file)}, "part": True}
        receipt = await self.state("run.files", said)
        self._kept[path, file.sha256] = str(receipt["event_id"])

    def _listed(self, path: str, file: File) -> JsonObject:
        """A file in a snapshot: with its text, or with the event that has it."""
        kept = self._kept.get((path, file.sha256))
        return _dumped(file if kept is None else file.model_copy(update={"content": None, "ref": kept}))


def _size(file: File) -> int:
    return len((file.content or "").encode())


def _dumped(file: File) -> JsonObject:
    dumped: JsonObject = file.model_dump(mode="json", exclude_none=True)
    return dumped
