"""Waiting for something to become true, with a deadline and no fixed sleep."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

from tests.support.promises import OutOfPatienceError

Value = TypeVar("Value")

PATIENCE = 4
"""How many times longer a machine with other work may take: a deadline here says that it hangs, not that it is slow."""

_SELDOM = 0.25


@overload
async def eventually(check: Callable[[], Awaitable[Value]], *, within: float = 20.0, every: float = 0.01) -> Value: ...


@overload
async def eventually(check: Callable[[], Value], *, within: float = 20.0, every: float = 0.01) -> Value: ...


async def eventually(check: Callable[[], object], *, within: float = 20.0, every: float = 0.01) -> object:
    """The first truthy answer of `check`, a plain or an async function; OutOfPatienceError after four times `within`.

    `within` is how many seconds it takes at most on a machine that has nothing else to do. An AssertionError raised by
    `check` counts as "not yet"; the last one, or the last answer, is in the message. It is asked `every` so many
    seconds at first, and the longer it takes the less often: who asks all the time keeps others from their work.
    """
    began = time.monotonic()
    deadline = began + PATIENCE * within
    while True:
        last: object
        try:
            answer = check()
            value = await answer if inspect.isawaitable(answer) else answer
        except AssertionError as error:
            last = error
        else:
            if value:
                return value
            last = repr(value)
        now = time.monotonic()
        if now > deadline:
            name = getattr(check, "__qualname__", repr(check))
            raise OutOfPatienceError(f"{name} did not come true within {PATIENCE * within:g} s; last: {last}")
        await asyncio.sleep(max(every, min(_SELDOM, (now - began) / 10)))
