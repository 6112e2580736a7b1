"""What an agent that was called answers: read leniently, taken only as far as it fits."""

import re
from typing import Annotated, Literal
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from consumers.push.errors import AnswerTooLargeError, InvalidAnswerError
from events.base import JsonObject
from events.files import MAX_FILES, MEDIA_TYPE, relative_path
from events.run import MOST_SPENT

MAX_OUTPUT = 700 * 1024
"""Bytes of `output_data`: as much as an agent that pulls may say in one fact."""
_MAX_MESSAGE = 2_000


class Artifact(BaseModel):
    """One file, whole."""

    model_config = ConfigDict(frozen=True)

    path: str
    content: str
    mime_type: str | None = None


class Answer(BaseModel):
    """`{task_id, status, artifacts, output_data, error_message, execution_time_ms, tokens_used, cost_usd}`.

    How long it took is measured here: what the agent says of that is not looked at.
    """

    model_config = ConfigDict(frozen=True)

    task_id: UUID
    status: Literal["completed", "failed"]
    artifacts: Annotated[list[Artifact], Field(max_length=MAX_FILES)] | None = None
    output_data: JsonObject | None = None
    error_message: str | None = None
    tokens_used: Annotated[int, Field(ge=0, le=MOST_SPENT)] | None = None
    cost_usd: Annotated[float, Field(ge=0, le=MOST_SPENT)] | None = None

    @property
    def files(self) -> dict[str, str]:
        """The artifacts' texts by path."""
        return {one.path: one.content for one in self.artifacts or ()}

    @property
    def media_types(self) -> dict[str, str]:
        """By path as we keep it: what the agent says of a file, without parameters; what is no such type is left out.

        Raises InvalidPathError.
        """
        told = {relative_path(one.path): (one.mime_type or "").partition(";")[0] for one in self.artifacts or ()}
        plain = {path: media_type.strip().lower() for path, media_type in told.items()}
        return {path: media_type for path, media_type in plain.items() if re.match(MEDIA_TYPE, media_type)}

    @property
    def why(self) -> str:
        """The reason of a failure, in the agent's words, bounded."""
        return (self.error_message or "").strip()[:_MAX_MESSAGE] or "The agent says that it failed."


def read_answer(body: bytes, task_id: UUID) -> Answer:
    """The answer to this task. Raises InvalidAnswerError or AnswerTooLargeError, which repeat nothing of it."""
    try:
        answer = Answer.model_validate(orjson.loads(body))
    except (orjson.JSONDecodeError, ValidationError, RecursionError) as error:
        raise InvalidAnswerError from error
    if answer.task_id != task_id:
        raise InvalidAnswerError("The agent's answer is about another task.")
    paths = [one.path for one in answer.artifacts or ()]
    if len(set(paths)) != len(paths):
        raise InvalidAnswerError("Two of the agent's artifacts have the same path.")
    if len(orjson.dumps(answer.output_data)) > MAX_OUTPUT:
        raise AnswerTooLargeError
    return answer
