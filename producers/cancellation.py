"""A cancellation that was swallowed on the way.

Python 3.11's `asyncio.wait_for` returns its result when a cancellation comes together with it, and forgets the
cancellation. nats-py and asyncpg wait so, and a loop around them would go on for ever beside a task group that is being
left, which cancels its tasks only once.
"""

import asyncio


def heed_cancellation() -> None:
    """Raise CancelledError if the running task was cancelled already: first thing in each round of a loop."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
