"""The gateway's HTTP interface as the commands use it."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self
from uuid import UUID

import httpx
from pydantic import JsonValue, TypeAdapter, ValidationError

from cli.errors import CommandError, code_of_refusal
from cli.place import Place

Document = dict[str, JsonValue]

_document = TypeAdapter(Document)
_TIMEOUT = 10.0
_MAX_FAULTS = 3


class Gateway:
    """One HTTP connection; `async with Gateway(place) as gateway`. Every failure is a CommandError in one line."""

    def __init__(self, where: Place) -> None:
        self._where = where
        self._client = httpx.AsyncClient(
            base_url=where.url, headers=where.headers, timeout=_TIMEOUT, trust_env=False, follow_redirects=False
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def submit(self, body: Document, *, key: str | None = None, wait: int | None = None) -> Document:
        """Ask for work; the answer is a 202's body, or with `wait` seconds the outcome if it came in time."""
        headers = {}
        if key is not None:
            headers["Idempotency-Key"] = key
        if wait is not None:
            headers["Prefer"] = f"wait={wait}"
        return await self._send("POST", "/api/v1/tasks", json=body, headers=headers, within=_TIMEOUT + (wait or 0))

    async def task(self, task_id: UUID) -> Document:
        """One task as it is now."""
        return await self._send("GET", f"/api/v1/tasks/{task_id}")

    async def tasks(self, filters: Mapping[str, str]) -> Document:
        """One page of tasks, newest first: `{items, next_cursor}`."""
        return await self._send("GET", "/api/v1/tasks", params=filters)

    async def cancel(self, task_id: UUID) -> Document:
        """Stop a task."""
        return await self._send("POST", f"/api/v1/tasks/{task_id}/cancel")

    async def decompose(self, task_id: UUID, options: Document, *, wait: int) -> Document:
        """Divide a task into steps: the plan, or a 202's body if it did not come within `wait` seconds."""
        return await self._send(
            "POST",
            f"/api/v1/tasks/{task_id}/decompose",
            json=options,
            headers={"Prefer": f"wait={wait}"},
            within=_TIMEOUT + wait,
        )

    async def letters(self, filters: Mapping[str, str]) -> Document:
        """One page of dead letters, oldest first: `{items, next_cursor}`."""
        return await self._send("GET", "/api/v1/dlq", params=filters)

    async def letter(self, number: int) -> Document:
        """One dead letter."""
        return await self._send("GET", f"/api/v1/dlq/{number}")

    async def replay_letter(self, number: int) -> Document:
        """Give a dead letter's event to its consumer again."""
        return await self._send("POST", f"/api/v1/dlq/{number}/replay")

    async def discard_letter(self, number: int) -> None:
        """Throw a dead letter away."""
        await self._send("DELETE", f"/api/v1/dlq/{number}")

    async def readiness(self) -> Document:
        """What the gateway says of itself and of what it depends on; also when it is not ready (503)."""
        return await self._send("GET", "/readyz", params={"verbose": "1"}, unready_is_fine=True)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        json: Document | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        within: float = _TIMEOUT,
        unready_is_fine: bool = False,
    ) -> Document:
        try:
            answer = await self._client.request(method, path, json=json, params=params, headers=headers, timeout=within)
        except httpx.TimeoutException:
            raise CommandError(f"{self._where.url} did not answer within {within:g} s") from None
        except httpx.HTTPError as error:
            raise CommandError(f"{self._where.url} cannot be reached: {error}") from None
        if answer.status_code == httpx.codes.NO_CONTENT:
            return {}
        try:
            body = _document.validate_json(answer.content)
        except ValidationError:
            raise CommandError(f"{self._where.url} answered {answer.status_code}, and not with JSON") from None
        if answer.is_success or (unready_is_fine and answer.status_code == httpx.codes.SERVICE_UNAVAILABLE):
            return body
        raise CommandError(problem_line(answer.status_code, body), exit_code=code_of_refusal(answer.status_code))


def problem_line(status: int, problem: Document) -> str:
    """An RFC 9457 problem in one line: what, which field, whether to try again, and the id to report."""
    line = str(problem.get("detail") or problem.get("title") or "the request failed")
    faults = problem.get("errors")
    if isinstance(faults, list) and faults:
        named = [f"{fault.get('field')}: {fault.get('message')}" for fault in faults if isinstance(fault, dict)]
        line = f"{line} ({'; '.join(named[:_MAX_FAULTS])})"
    again = "; try again later" if problem.get("retryable") else ""
    about = f"; task {problem['task_id']}" if problem.get("task_id") else ""
    request_id = f"; request {problem['request_id']}" if problem.get("request_id") else ""
    return f"{line} [{status} {problem.get('code') or 'error'}{again}{about}{request_id}]"
