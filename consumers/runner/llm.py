"""The agent that asks a language model: `LLM_BASE_URL` names a server that speaks the chat completions protocol."""

import json
from collections.abc import Sequence
from contextlib import aclosing

import httpx
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random

from consumers._breaker import Breaker, BreakerOpenError
from consumers._steps import as_text
from consumers.runner.agent import Answer, Reporter, Said, Work
from consumers.runner.completions import (
    SERVER_FAULTS,
    ModelUnavailableError,
    Piece,
    TooManyRequestsError,
    stream_answer,
)
from consumers.runner.history import tokens_of

_TRIES = 3
_MAX_BYTES = 512 * 1024
"""Of an answer as JSON has it, so that one event can carry it."""
_FULL_JITTER = wait_random(1, 5)


class LlmSettings(BaseSettings):
    """`LLM_BASE_URL` (with its `/v1`), `LLM_MODEL`, `LLM_API_KEY`; the rest has sensible values.

    `LLM_HISTORY_TOKENS` and `LLM_MAX_TOKENS` bound what is sent and what may come back; times in seconds;
    `LLM_USD_PER_MILLION_TOKENS` (prompt, answer) lets a task's budget in dollars be kept.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="LLM_")

    base_url: str | None = None
    model: str = "default"
    api_key: SecretStr | None = None
    system_prompt: str = "You are a helpful assistant. Answer in the language of the user, briefly and correctly."
    history_tokens: int = Field(default=8_000, ge=0)
    max_tokens: int = Field(default=1_024, ge=1)
    connect_timeout: float = 5.0
    silence_timeout: float = 20.0
    proxy: str | None = None
    usd_per_million_tokens: tuple[float, float] = (0.0, 0.0)
    breaker_failures: int = 5
    breaker_pause: float = 60.0


class LlmAgent:
    """Answers with a model. Three tries until the first word; after it a broken answer is the next attempt's."""

    id = "llm"
    capabilities = frozenset({"answer", "chat", "extract", "summarize"})

    def __init__(self, settings: LlmSettings) -> None:
        self._settings = settings
        self.history_tokens = settings.history_tokens
        self.breaker = Breaker(
            "llm",
            lambda error: isinstance(error, SERVER_FAULTS) and not isinstance(error, TooManyRequestsError),
            failures=settings.breaker_failures,
            pause=settings.breaker_pause,
        )
        self._client: httpx.AsyncClient | None = None

    async def run(self, work: Work, reporter: Reporter) -> Answer:
        """The model's answer, told piece by piece as it comes. Raises the errors of `completions`."""
        answer = _Answering(reporter)
        messages = messages_for(work, self._settings.system_prompt)
        try:
            await self._try(messages, answer)
        except BreakerOpenError as error:
            raise ModelUnavailableError(retry_after=error.retry_after) from error
        return answer.made(messages, self._settings)

    async def _try(self, messages: Sequence[Said], answer: "_Answering") -> None:
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(_TRIES),
            wait=_wait,
            retry=retry_if_exception(lambda error: isinstance(error, ModelUnavailableError) and not answer.begun),
            reraise=True,
        ):
            with attempt:
                await self.breaker.call(lambda: self._ask(messages, answer))

    async def _ask(self, messages: Sequence[Said], answer: "_Answering") -> None:
        settings = self._settings
        pieces = stream_answer(self._connected(), settings.model, messages, settings.max_tokens)
        async with aclosing(pieces):
            async for piece in pieces:
                await answer.take(piece)
                if answer.is_full:
                    return

    def _connected(self) -> httpx.AsyncClient:
        """The client with its pool of connections, made when first needed: it belongs to the running loop."""
        if self._client is None:
            settings = self._settings
            key = settings.api_key.get_secret_value() if settings.api_key else ""
            self._client = httpx.AsyncClient(
                base_url=str(settings.base_url),
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=httpx.Timeout(settings.silence_timeout, connect=settings.connect_timeout),
                proxy=settings.proxy,
                trust_env=False,
            )
        return self._client


class _Answering:
    """An answer in the making."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._texts: list[str] = []
        self._length = 0
        self._last = Piece()
        self._end = "stop"

    @property
    def begun(self) -> bool:
        """Whether somebody may have seen some of it: then it cannot be asked for again."""
        return bool(self._texts)

    @property
    def is_full(self) -> bool:
        """Whether it is longer than any answer may be."""
        return self._length >= _MAX_BYTES

    async def take(self, piece: Piece) -> None:
        text, size = _cut(piece.text, _MAX_BYTES - self._length)
        self._length += size
        if text:
            self._texts.append(text)
            await self._reporter.say(text)
        if piece.end:
            self._end = piece.end
        if piece.prompt_tokens or piece.answer_tokens:
            self._last = piece

    def made(self, messages: Sequence[Said], settings: LlmSettings) -> Answer:
        """The whole; a server that does not say what it spent is estimated."""
        text = "".join(self._texts)
        spent = self._last
        if not (spent.prompt_tokens or spent.answer_tokens):
            spent = Piece(
                prompt_tokens=sum(tokens_of(said.text) for said in messages),
                answer_tokens=tokens_of(text),
            )
        prompt_price, answer_price = settings.usd_per_million_tokens
        return Answer(
            {"text": text, "model": settings.model, "finish_reason": self._end},
            tokens=spent.prompt_tokens + spent.answer_tokens,
            cost_usd=(spent.prompt_tokens * prompt_price + spent.answer_tokens * answer_price) / 1e6,
            partial=self._end == "length" or self.is_full,
        )


def _cut(text: str, room: int) -> tuple[str, int]:
    """As much of the text as has room, and the bytes that it takes: all of the room if not all of it had."""
    size = len(json.dumps(text, ensure_ascii=False).encode()) - 2
    if size <= room:
        return text, size
    while text and size > room:
        text = text[: len(text) * room // size]
        size = len(json.dumps(text, ensure_ascii=False).encode()) - 2
    return text, room


def messages_for(work: Work, system_prompt: str) -> list[Said]:
    """The chat messages of one piece of work: what was said before keeps its role, the request is the user's last."""
    asked = work.prompt
    if work.context:
        asked = f"{asked}\n\nContext:\n{work.context}"
    if work.steps:
        asked = f"{asked}\n\nThese steps are done. Build on their results:\n\n{as_text(work.steps)}"
    if work.acceptance_criteria:
        asked += "\n\nThe answer must:\n" + "\n".join(f"- {criterion}" for criterion in work.acceptance_criteria)
    before = [said for said in work.history if said.role in ("user", "assistant")]
    return [Said("system", system_prompt), *before, Said("user", asked)]


def _wait(state: RetryCallState) -> float:
    """What the server asks for, else 1 to 5 s with full jitter."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, ModelUnavailableError) else None
    return asked if asked is not None else _FULL_JITTER(state)
