"""The job that an engine is asked for: JobExecutionEvent (requirements 001.2), as JSON or as a CloudEvent over HTTP."""

import json
from collections.abc import Mapping
from typing import Annotated

from cloudevents.core.bindings.http import HTTPMessage, from_http
from cloudevents.core.exceptions import BaseCloudEventException
from cloudevents.core.formats.json import JSONFormat
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from engine.errors import InvalidJobError
from events.base import JsonObject
from events.errors import InvalidPathError
from events.files import MAX_FILE_BYTES, checked_tree, relative_path

EXECUTE_TYPES = frozenset({"dev.my-platform.agent.execute", "io.ganglion.engine.execute.v1"})
"""The CloudEvents types that ask for a run; any other is refused."""

MAX_INSTRUCTIONS = 100_000
_STRUCTURED = "application/cloudevents+json"

ThreadId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,128}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, str_strip_whitespace=False)


class Background(_Part):
    """What the requester adds to the instructions: text, and the place in a file that is meant."""

    text: str | None = Field(default=None, max_length=MAX_INSTRUCTIONS)
    file_path: str | None = Field(default=None, max_length=4_096)
    selection: str | None = Field(default=None, max_length=MAX_INSTRUCTIONS)


class Budget(_Part):
    """What the run may spend."""

    max_tokens: int = Field(default=100_000, ge=1, le=10_000_000)


class InputPayload(_Part):
    """What is to be specified, and the files that the draft holds now (path -> text)."""

    instructions: str = Field(
        validation_alias=AliasChoices("instructions", "user_prompt", "user_request", "prompt"),
        min_length=1,
        max_length=MAX_INSTRUCTIONS,
    )
    context: Background = Background()
    acceptance_criteria: tuple[str, ...] = Field(default=(), max_length=100)
    files: dict[str, str] = Field(default_factory=dict)
    budget: Budget = Budget()

    @field_validator("files")
    @classmethod
    def _safe(cls, files: dict[str, str]) -> dict[str, str]:
        """Rooted paths, as this engine's virtual folder has them, whatever the caller wrote."""
        try:
            checked_tree(relative_path(path) for path in files)
        except InvalidPathError as error:
            raise ValueError(error.detail) from None
        if any(len(text.encode()) > MAX_FILE_BYTES for text in files.values()):
            raise ValueError(f"a file has at most {MAX_FILE_BYTES} bytes")
        return {f"/{relative_path(path)}": text for path, text in files.items()}


class JobExecutionEvent(_Part):
    """One run; `job_id` is its thread id, and a second one with the same id is the same run."""

    trace_id: str = Field(min_length=1, max_length=255)
    job_id: ThreadId
    agent_definition: JsonObject = Field(min_length=1)
    input_payload: InputPayload


def read_job(headers: Mapping[str, str], body: bytes) -> JobExecutionEvent:
    """The job in a request: plain JSON, a structured CloudEvent or a binary one. Raises InvalidJobError."""
    lowered = {name.lower(): value for name, value in headers.items()}
    media_type = lowered.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == _STRUCTURED or "ce-specversion" in lowered:
        body = _data_of_event(lowered, body)
    try:
        return JobExecutionEvent.model_validate_json(body)
    except ValidationError as error:
        raise InvalidJobError(_faults(error)) from None


def _data_of_event(headers: Mapping[str, str], body: bytes) -> bytes:
    try:
        event = from_http(HTTPMessage(dict(headers), body), JSONFormat())
    except (BaseCloudEventException, ValueError, KeyError, TypeError) as error:
        raise InvalidJobError(f"not a CloudEvent: {type(error).__name__}") from None
    if event.get_type() not in EXECUTE_TYPES:
        raise InvalidJobError("a CloudEvent of another type; expected " + " or ".join(sorted(EXECUTE_TYPES)))
    data = event.get_data()
    return data if isinstance(data, bytes) else json.dumps(data).encode()  # orjson has no whole numbers above 64 bits


def _faults(error: ValidationError) -> str:
    """Where the job is wrong, without what stands there."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in faults[:10])
