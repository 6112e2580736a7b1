"""Waiting until the gateway says that it and all it depends on can serve."""

import asyncio
import time

import httpx

from deploy.local.errors import StackError

_EVERY = 0.05  # seconds


async def wait_ready(gateway_url: str, *, within: float, token: str | None = None) -> None:
    """Return when `GET /readyz` answers 200; raises StackError with its last answer after `within` seconds.

    With a token, a read with it must succeed too: a gateway that answers may be somebody else's.
    """
    deadline = time.monotonic() + within
    last = "no answer"
    async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
        while time.monotonic() < deadline:
            last = await _fault(client, f"{gateway_url}/readyz")
            if not last and token:
                headers = {"Authorization": f"Bearer {token}"}
                last = await _fault(client, f"{gateway_url}/api/v1/tasks?limit=1", headers)
            if not last:
                return
            await asyncio.sleep(_EVERY)
    raise StackError(f"the gateway was not ready within {within:g} s; last: {last}")


async def _fault(client: httpx.AsyncClient, url: str, headers: dict[str, str] | None = None) -> str:
    """Empty when `url` answers 200, else what it answers."""
    try:
        answer = await client.get(url, headers=headers)
    except httpx.HTTPError as error:
        return f"{url}: {error!r}"
    return "" if answer.status_code == httpx.codes.OK else f"{url}: {answer.status_code} {answer.text[:500]}"
