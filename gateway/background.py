"""What runs beside the requests: ended in the reverse order of starting; a part that fails ends the process."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Coroutine, Iterable
from contextlib import asynccontextmanager

import structlog

log = structlog.get_logger()

_CANCEL_AGAIN = 2.0


@asynccontextmanager
async def running(parts: Iterable[Coroutine[object, object, None]]) -> AsyncGenerator[None]:
    """Run the parts until the block ends. One that fails asks the process to stop: its supervisor starts it anew."""
    tasks = [asyncio.create_task(part) for part in parts]
    for task in tasks:
        task.add_done_callback(_end_if_failed)
    try:
        yield
    finally:
        for task in reversed(tasks):
            while not task.done():  # one cancellation is not enough: Python 3.11's wait_for may swallow it
                task.cancel()
                await asyncio.wait({task}, timeout=_CANCEL_AGAIN)


def _end_if_failed(task: asyncio.Task[None]) -> None:
    if task.cancelled():
        return
    error = task.exception()
    log.critical("background_part_ended", exc_info=error)
    os.kill(os.getpid(), signal.SIGTERM)
