"""Ends of tasks, and other things that are waited for: who waits for one, and which ends came lately."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

REMEMBERED = 20_000


def plan_subject(plan_id: object) -> str:
    """What who waits for a plan waits for: that it is made, or cannot be."""
    return f"plan {plan_id}"


async def comes(awaited: asyncio.Future[None], within: float) -> bool:
    """Whether what is awaited is shown in time; not if the process stops before."""
    try:
        async with asyncio.timeout(within):
            await awaited
    except TimeoutError:
        return False
    return True


class Endings:
    """Told by the hub of every state that it shows; the latest 20,000 ends are remembered for who comes just behind."""

    def __init__(self) -> None:
        self._awaited: dict[str, set[asyncio.Future[None]]] = {}
        self._lately: OrderedDict[str, None] = OrderedDict()

    @contextmanager
    def awaited(self, subject: str) -> Iterator[asyncio.Future[None]]:
        """A future that is done when the task enters a final state, the proposal can be decided or never will, or
        there is a plan (`plan_subject`).
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._awaited.setdefault(subject, set())
        waiting.add(future)
        try:
            yield future
        finally:
            future.cancel()
            waiting.discard(future)
            if not waiting:
                self._awaited.pop(subject, None)

    def is_past(self, task_id: str) -> bool:
        """Whether the task's last state that was shown here lately was a final one."""
        return task_id in self._lately

    def note(self, task_id: str, *, is_final: bool) -> None:
        """A task entered a state."""
        self._lately.pop(task_id, None)
        if not is_final:
            return
        self._lately[task_id] = None
        if len(self._lately) > REMEMBERED:
            self._lately.popitem(last=False)
        self.came(task_id)

    def forget(self) -> None:
        """What came lately may have been followed by states that were not shown here."""
        self._lately.clear()

    def came(self, subject: str) -> None:
        """What is waited for of a task, a proposal or a plan is there."""
        for future in self._awaited.get(subject, ()):
            if not future.done():
                future.set_result(None)

    def release(self) -> None:
        """Let all that wait go with a TimeoutError: the process stops."""
        for waiting in self._awaited.values():
            for future in waiting:
                if not future.done():
                    future.set_exception(TimeoutError())
