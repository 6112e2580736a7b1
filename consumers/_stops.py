"""Which runs of this process must stop: heard on core NATS the moment the keeper announces it, from the first look."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from uuid import UUID

from nats.aio.client import Client
from nats.aio.msg import Msg

from events.codec import decode
from events.errors import InvalidEventError
from events.subjects import filters_for
from events.task import (
    RUN_GOES_ON,
    TaskBlocked,
    TaskCancelled,
    TaskEntered,
    TaskFailed,
    TaskPaused,
    TaskSucceeded,
    TaskTimedOut,
)

STOPPING = (TaskBlocked, TaskCancelled, TaskFailed, TaskPaused, TaskSucceeded, TaskTimedOut)
"""The states that end a run from outside."""
STOPPING_SUBJECTS = tuple(one for state in STOPPING for one in filters_for(state, RUN_GOES_ON))
"""Of the tasks that succeed only those whose run may go on: who listens is not told of every task's end."""
_TASK = b'"taskid":"'


class Work(Protocol):
    """What a stop cancels: a task, or a future that is waited for."""

    def cancel(self) -> bool:
        """Cancel it."""


class Stop:
    """Whether one run must stop; `work` is cancelled then, or at once if it must already.

    `before`: a run of the same attempt that is still here although its message was delivered again.
    """

    def __init__(self, attempt: int, before: "Stop | None" = None) -> None:
        self.attempt = attempt
        self.before = before
        self.wanted = False
        self.is_over = False
        self._work: Work | None = None

    def follow(self, work: Work) -> None:
        """Cancel this work when the run must stop."""
        self._work = work
        if self.wanted:
            work.cancel()

    def stop(self) -> None:
        """The run must stop."""
        self.wanted = True
        if self._work is not None:
            self._work.cancel()
        if self.before is not None:
            self.before.stop()


class Stops:
    """The runs in hand by task; a task is worked on by one of them at a time."""

    def __init__(self) -> None:
        self._stops: dict[UUID, Stop] = {}
        self._texts: dict[str, None] = {}

    async def listen(self, client: Client) -> None:
        """Hear the keeper's announcements."""
        for subject in STOPPING_SUBJECTS:
            await client.subscribe(subject, cb=self._on_state)

    @contextmanager
    def watching(self, task_id: UUID, attempt: int) -> Iterator[Stop]:
        """Enter before the task's row is read: what is announced after that row was true is not missed.

        A run of an earlier attempt that is still here was lost while this process slept: it stops.
        """
        held = self._stops.get(task_id)
        if held is not None and held.attempt < attempt:
            held.stop()
        before = held if held is not None and held.attempt == attempt else None
        stop = self._stops[task_id] = Stop(attempt, before)
        self._texts[str(task_id)] = None
        try:
            yield stop
        finally:
            stop.is_over = True
            if self._stops.get(task_id) is not stop:
                pass  # a later attempt has taken the place
            elif before is not None and not before.is_over:
                self._stops[task_id] = before
            else:
                del self._stops[task_id]
                del self._texts[str(task_id)]

    async def _on_state(self, message: Msg) -> None:
        start = message.data.find(_TASK) + len(_TASK)
        if message.data[start : start + 36].decode("ascii", "replace") not in self._texts:
            return  # nearly always: it is not decoded for that
        with contextlib.suppress(InvalidEventError):
            data = decode(message.data, message.headers).data
            if isinstance(data, TaskEntered):
                self.heard(data)

    def heard(self, state: TaskEntered) -> None:
        """A task entered a state; one of an earlier attempt says nothing about this one."""
        stop = self._stops.get(state.task_id)
        if stop is not None and isinstance(state, STOPPING) and state.attempt >= stop.attempt:
            stop.stop()
