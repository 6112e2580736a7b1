"""The chat completions protocol that OpenAI published and many servers speak: one streamed answer to some messages.

Errors say whose fault it is and whether to try again; nothing of a server's own error text is passed on.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

import httpx
from httpx_sse import EventSource, SSEError
from pydantic import BaseModel

from consumers._lenient import read_json
from consumers.runner.agent import Said
from events.base import JsonObject
from events.errors import PermanentError, TransientError
from events.run import MOST_SPENT

_DONE = "[DONE]"
_AGAIN = frozenset({408, 409, 425, 429})
_RETRY_AFTER = 5.0


class ModelUnavailableError(TransientError):
    """The model's server cannot be reached or is not able to answer now."""

    code = "agent_unavailable"


class ModelCutShortError(TransientError):
    """The model's answer broke off in the middle."""

    code = "agent_cut_short"


class ModelBadAnswerError(TransientError):
    """The model's server answered something that is not of its protocol."""

    code = "agent_bad_answer"


class ModelRefusedError(PermanentError):
    """The model's server does not accept the request or our credentials for it."""

    code = "agent_refused"


SERVER_FAULTS = (ModelUnavailableError, ModelCutShortError, ModelBadAnswerError)
"""What is the server's own fault; a refusal shows that it answers, and too many requests that it is alive."""


class TooManyRequestsError(ModelUnavailableError):
    """The model's server is asked too much at the moment."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of an answer; `end` is why it is the last one (`stop`, `length`, …), `tokens` what all of it cost."""

    text: str = ""
    end: str | None = None
    prompt_tokens: int = 0
    answer_tokens: int = 0


class _Words(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    delta: _Words = _Words()
    message: _Words = _Words()
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Chunk(BaseModel):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: object = None

    def piece(self) -> Piece:
        """What this chunk adds to the answer; choices beyond the first were not asked for."""
        choice = self.choices[0] if self.choices else _Choice()
        usage = self.usage or _Usage()
        text = choice.delta.content or choice.message.content or ""
        return Piece(text, choice.finish_reason, _counted(usage.prompt_tokens), _counted(usage.completion_tokens))


def _counted(tokens: int) -> int:
    return min(max(tokens, 0), MOST_SPENT)


async def stream_answer(
    client: httpx.AsyncClient, model: str, messages: Sequence[Said], max_tokens: int
) -> AsyncGenerator[Piece]:
    """Ask, and yield the answer as it comes. Raises the errors of this module; one without an end is cut short."""
    body: JsonObject = {
        "model": model,
        "messages": [{"role": said.role, "content": said.text} for said in messages],
        "max_tokens": max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    begun = ended = False
    try:
        async with client.stream("POST", "chat/completions", json=body) as response:
            _refuse_errors(response)
            async for piece in _pieces(response):
                begun = begun or bool(piece.text)
                ended = ended or piece.end is not None
                yield piece
    except (SSEError, httpx.DecodingError, ValueError, RecursionError) as error:
        raise ModelBadAnswerError from error
    except httpx.HTTPError as error:
        raise (ModelCutShortError if begun else ModelUnavailableError) from error
    if not ended:
        raise ModelCutShortError


async def _pieces(response: httpx.Response) -> AsyncGenerator[Piece]:
    """The pieces of a stream, or the one piece of a server that does not stream."""
    if "application/json" in response.headers.get("content-type", ""):
        yield _read(await response.aread())
        return
    async for event in EventSource(response).aiter_sse():
        if event.data == _DONE:
            return
        yield _read(event.data)


def _read(data: str | bytes) -> Piece:
    chunk = read_json(_Chunk, data)
    if chunk.error is not None:
        raise ModelUnavailableError
    return chunk.piece()


def _refuse_errors(response: httpx.Response) -> None:
    status = response.status_code
    if status == httpx.codes.OK:
        return
    if status in _AGAIN:
        raise TooManyRequestsError(retry_after=_seconds(response))
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise ModelUnavailableError(retry_after=_seconds(response))
    raise ModelRefusedError(f"The model's server does not accept the request (status {status}).")


def _seconds(response: httpx.Response) -> float | None:
    """`Retry-After` in seconds, at most 5: who must wait longer is better served by the next attempt."""
    try:
        return min(_RETRY_AFTER, max(0.0, float(response.headers["retry-after"])))
    except (KeyError, ValueError):
        return None
