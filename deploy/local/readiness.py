"""Waiting until the gateway says that it and all it depends on can serve."""

import asyncio
import time

import httpx

from deploy.local.errors import StackError

_EVERY = 0.05  # seconds


async def wait_ready(gateway_url: str, *, within: float) -> None:
    """Return when `GET /readyz` answers 200; raises StackError with its last answer after `within` seconds."""
    deadline = time.monotonic() + within
    last = "no answer"
    async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
        while time.monotonic() < deadline:
            try:
                answer = await client.get(f"{gateway_url}/readyz")
            except httpx.HTTPError as error:
                last = repr(error)
            else:
                if answer.status_code == httpx.codes.OK:
                    return
                last = f"{answer.status_code} {answer.text[:500]}"
            await asyncio.sleep(_EVERY)
    raise StackError(f"the gateway was not ready within {within:g} s; last: {last}")
