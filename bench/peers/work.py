"""What every peer does with a task, and the environment in which its client and its worker find the servers."""

import asyncio
import os
from collections.abc import Awaitable, Callable

TEXT = "The export stops at row 200. Since Thursday. Please find out why, and what to tell the customer."
CHECK_EVERY = 0.005
"""Seconds between two looks at a result, where a peer tells nobody that there is one."""


def answer(text: str) -> str:
    """The first sentence: as good as no work, so that what is measured is the queue."""
    return text.partition(". ")[0]


def server(name: str) -> str:
    """The URL of `REDIS`, `DATABASE` or `NATS`; raises KeyError where it is not set."""
    return os.environ[f"PEER_{name}_URL"]


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Look until it is so."""
    while not await is_so():  # noqa: ASYNC110 - what is looked at is in another process
        await asyncio.sleep(CHECK_EVERY)
