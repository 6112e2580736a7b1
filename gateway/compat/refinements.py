"""`/api/ws/refinements/{thread_id}`: frames `{event_type, data}`; a thread is a task, and its id the task's.

Whoever comes, at whatever time, sees the whole run from its start: `on_state_update` (what the agent notes; all files
as they are), `on_llm_stream` (what it says), `error`, then `end`, and the socket closes 1000. `end` follows the
moment from which GET shows the proposal.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from starlette.websockets import WebSocket

from events.cursor import Cursor
from events.task import GOOD
from gateway.compat.socket import COME_BACK, CompatSocket, Surroundings
from gateway.live.frames import SETTLED, Frame
from gateway.live.rooms import Room
from gateway.live.speech import Saying
from gateway.live.subscription import Fields

Data = Mapping[str, object]

_WELL = frozenset(f"task.{status}" for status in GOOD)


@dataclass(slots=True)
class _File:
    """When a file was first seen in this run, and when its text was last another."""

    sha256: str
    created_at: object
    modified_at: object


class RefinementSocket(CompatSocket):
    """One connection to a refinement's thread; `?token=` is allowed here because the document demands it."""

    takes_query_token = True
    after = Cursor("", 0)

    def __init__(self, websocket: WebSocket, surroundings: Surroundings) -> None:
        super().__init__(websocket, surroundings)
        self._files: dict[str, _File] = {}
        self._heard = False
        self._awaits_proposal = False
        self._has_proposal = False
        self._failure: Fields | None = None
        self._over = False
        self._ended = False

    def greeting(self, room: str) -> Iterable[Fields]:  # noqa: ARG002 - a thread says nothing of itself
        """The first frame is the run's."""
        return ()

    def event(self, room: Room, frame: Frame) -> Iterator[Fields]:
        """What the run does, then how it ended."""
        if self._ended:
            return
        whole = frame.data()
        data = whole["data"]
        if not isinstance(data, dict):
            return
        if frame.event == "run.started":
            self._heard = False
        elif frame.event == "run.progress":
            if data.get("note"):
                yield _frame("on_state_update", {"messages": data["note"]})
        elif frame.event == "run.files":
            yield from self._snapshot(f"{room.tenant}/{room.owner}", data, whole["time"])
        elif frame.event == "run.finished":
            yield from self._last_words(data)
        else:
            yield from self._note(frame, data)

    def words(self, saying: Saying, text: str) -> Iterator[Fields]:  # noqa: ARG002 - one run speaks
        """A piece of what the model says."""
        self._heard = True
        if not self._ended:
            yield _frame("on_llm_stream", {"raw_event": text})

    def _snapshot(self, whose: str, data: Data, at: object) -> Iterator[Fields]:
        """All files, under absolute paths and with every text: the bus sends only those that changed."""
        files = data.get("files")
        if not isinstance(files, dict):
            return
        for file in files.values():
            if file.get("content") is not None:
                self._surroundings.texts.keep(whose, file["sha256"], file["content"])
        if data.get("part"):
            return
        seen = {path: self._seen(path, file["sha256"], at) for path, file in files.items()}
        self._files = seen
        shown: dict[str, object] = {}
        for path, one in seen.items():
            text = self._surroundings.texts.get(whose, one.sha256)
            if text is None:  # it made room for others' texts: a gap, which these frames have no word for
                self._close(COME_BACK, "gap")
                return
            times = {"created_at": one.created_at, "modified_at": one.modified_at}
            shown[f"/{path}"] = {"content": text.split("\n"), **times}
        yield _frame("on_state_update", {"messages": "", "files": shown})

    def _seen(self, path: str, sha256: str, at: object) -> _File:
        before = self._files.get(path)
        if before is None:
            return _File(sha256, at, at)
        return before if before.sha256 == sha256 else _File(sha256, before.created_at, at)

    def _last_words(self, data: Data) -> Iterator[Fields]:
        """Speech is kept for minutes only: who comes later hears all of it at once."""
        output = data.get("output")
        text = output.get("text") if isinstance(output, dict) else None
        if not self._heard and isinstance(text, str) and text:
            yield _frame("on_llm_stream", {"raw_event": text})

    def over(self) -> Iterator[Fields]:
        """The task has ended, and no retry follows in what is kept."""
        self._over = True
        return self._perhaps_end()

    def _note(self, frame: Frame, data: Data) -> Iterator[Fields]:
        """A task's states come in order, and a proposal's; those of the two in any."""
        if frame.is_state:
            self._over = False
            self._awaits_proposal = frame.event in _WELL and data.get("kind") == "refinement"
            self._failure = _error(frame.event, data) if frame.is_final and frame.event not in _WELL else None
        elif frame.event in SETTLED:
            self._has_proposal = True
            yield from self._perhaps_end()

    def _perhaps_end(self) -> Iterator[Fields]:
        if not self._over or self._ended or (self._awaits_proposal and not self._has_proposal):
            return
        self._close(1000, "end")
        if self._failure is not None:
            yield _frame("error", self._failure)
        yield _frame("end", {})

    def _close(self, code: int, reason: str) -> None:
        """Say nothing more than what is being said."""
        self._ended = True
        asyncio.get_running_loop().call_soon(self.outlet.close, code, reason)


def _error(event: str, data: Data) -> Fields:
    error = data.get("error")
    told = error if isinstance(error, dict) else {}
    code = told.get("code") or data.get("reason") or event.partition(".")[2]
    return {"error": told.get("message") or str(code), "context": {"code": code, "status": event.partition(".")[2]}}


def _frame(kind: str, data: Fields) -> Fields:
    return {"event_type": kind, "data": data}
