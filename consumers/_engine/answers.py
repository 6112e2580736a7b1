"""What a spec engine says of a thread, read from whatever engine of the contract says it (requirements 001.2)."""

import ast
import hashlib
import json
import re
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from consumers._engine.errors import EngineAwayError
from consumers._lenient import read_json
from events.base import JsonObject
from events.run import MOST_SPENT
from events.task import CODE

_CHUNK = re.compile(r"^\(AIMessageChunk\(content=('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")", re.DOTALL)
_CODE = re.compile(CODE)
_NOTE = 200


class _File(BaseModel):
    model_config = ConfigDict(frozen=True)

    content: list[str] | str

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "\n".join(self.content)


_Files = dict[str, _File | str]


class ThreadState(BaseModel):
    """The answer of `/state/{thread_id}`."""

    model_config = ConfigDict(frozen=True)

    status: str
    generated_files: _Files | None = None
    result: JsonValue = None
    error: JsonValue = None

    @property
    def files(self) -> dict[str, str]:
        """Path -> text."""
        return texts_of(self.generated_files or {})

    @property
    def failure(self) -> "Failure":
        """Why it failed."""
        return Failure.read(self.error)

    @property
    def summary(self) -> str | None:
        """One line on the result, if the engine says one."""
        found = self.result.get("summary") if isinstance(self.result, dict) else None
        return found if isinstance(found, str) else None

    @property
    def tokens(self) -> int:
        """What the run spent, if the engine says it."""
        found = self.result.get("tokens") if isinstance(self.result, dict) else None
        return min(found, MOST_SPENT) if isinstance(found, int) and found > 0 else 0


@dataclass(frozen=True, slots=True)
class Failure:
    """An engine's error: ours have a code and say whether to try again, others have a text at most."""

    code: str = "engine_error"
    retryable: bool = True

    @classmethod
    def read(cls, error: JsonValue) -> "Failure":
        """From an error as engines spell it; its text may hold anything and is not kept."""
        nested = error.get("error", error) if isinstance(error, dict) else None
        code = nested.get("code") if isinstance(nested, dict) else None
        if not isinstance(nested, dict) or not isinstance(code, str):
            return cls()
        return cls(code if _CODE.fullmatch(code) else cls().code, nested.get("retryable") is not False)


@dataclass(frozen=True, slots=True)
class Update:
    """A frame `on_state_update`; `mark` differs when something but the wording does."""

    files: dict[str, str] | None
    note: str | None
    mark: str


@dataclass(frozen=True, slots=True)
class Said:
    """A frame `on_llm_stream` with text in it."""

    text: str


@dataclass(frozen=True, slots=True)
class End:
    """A frame `end`."""


Frame = Update | Said | Failure | End


class _Envelope(BaseModel):
    event_type: str
    data: JsonObject = Field(default_factory=dict)


class _Snapshot(BaseModel):
    files: _Files | None = None


def read_state(body: bytes) -> ThreadState:
    """A state; raises EngineAwayError for what is none: something else answers there, or the engine is broken."""
    try:
        return read_json(ThreadState, body)
    except (ValueError, RecursionError):
        raise EngineAwayError("the engine's state cannot be read") from None


def read_frame(text: str | bytes) -> Frame | None:
    """A frame; None for one that says nothing to us. Raises EngineAwayError for what is none."""
    try:
        envelope = read_json(_Envelope, text)
        match envelope.event_type:
            case "on_state_update":
                return _update(envelope.data)
            case "on_llm_stream":
                said = _said(envelope.data)
                return Said(said) if said else None
            case "error":
                return Failure.read(envelope.data)
            case "end":
                return End()
    except (ValueError, RecursionError):
        raise EngineAwayError("the engine's stream cannot be read") from None
    return None


def texts_of(files: _Files) -> dict[str, str]:
    """Path -> text, of files as engines spell them: an object with lines or text, or the text itself."""
    return {path: file if isinstance(file, str) else file.text for path, file in files.items()}


def _update(data: JsonObject) -> Update:
    """Messages and status alone are no progress: an engine repeats them with a new time in them (001.1, 1.2a)."""
    found = _Snapshot.model_validate(data).files
    rest = {name: value for name, value in data.items() if name not in ("messages", "status", "files")}
    # Not orjson: it takes no whole number above 64 bits, and an engine may count in any.
    mark = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest() if rest else ""
    messages = data.get("messages")
    readable = isinstance(messages, str) and 0 < len(messages) <= _NOTE and messages.isprintable()
    files = texts_of(found) if found else None
    return Update(files, str(messages) if readable else None, mark)


def _said(data: JsonObject) -> str:
    """The text of a piece; of Python's repr of a message chunk, which some engines send, its content."""
    if isinstance(text := data.get("text"), str):
        return text
    raw = data.get("raw_event")
    if not isinstance(raw, str) or (found := _CHUNK.match(raw)) is None:
        return ""
    try:
        return str(ast.literal_eval(found[1]))
    except (ValueError, SyntaxError):
        return ""
