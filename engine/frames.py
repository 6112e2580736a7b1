"""The frames of `/stream/{thread_id}` (requirements 001.2): `{"event_type", "data"}`, each encoded once."""

from typing import Literal

import orjson

from engine.state import File

EventType = Literal["on_state_update", "on_llm_stream", "error", "end"]


class Frame:
    """One frame; `text` is what goes over the socket."""

    __slots__ = ("event_type", "text")

    def __init__(self, event_type: EventType, data: dict[str, object]) -> None:
        self.event_type = event_type
        self.text = orjson.dumps({"event_type": event_type, "data": data}).decode()


def state_update(messages: str, node: str, files: dict[str, File] | None = None) -> Frame:
    """The thread moved on; `files`, if given, are all files as they are now and replace what was said before."""
    data: dict[str, object] = {"messages": messages, "node": node}
    return Frame("on_state_update", data if files is None else data | {"files": files})


def llm_stream(path: str, text: str) -> Frame:
    """A piece of what is being written; `raw_event` is the same text for clients of the older contract."""
    return Frame("on_llm_stream", {"text": text, "path": path, "raw_event": text})


def error(code: str, message: str, *, retryable: bool) -> Frame:
    """The thread failed; never a stack trace (requirements 001.5, 9)."""
    return Frame("error", {"error": {"code": code, "message": message, "retryable": retryable}, "context": "execution"})


def end() -> Frame:
    """Nothing follows."""
    return Frame("end", {})
