"""Dispatch: what is assigned to an outside agent is put into its queue, as policy lets it see it.

task.assigned -> work.assigned on `work.<tenant>.<agent>`. An agent has a durable of its own on that stream, made when
it registers and deleted when it is gone. Who must stop a run is told on core NATS, at once; a hint that is not kept.
Why this is not the keeper's outbox: docs/adr/0012.
"""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from consumers._checkpoints import as_work, given_to
from consumers._references import References
from consumers._runtime import Flow, Output, Resources
from consumers._steps import steps_of
from consumers._stops import STOPPING_SUBJECTS
from events import ids
from events.agent import AgentActive, AgentGone, is_outside
from events.base import Event, EventData
from events.codec import decode, encode
from events.errors import BusUnavailableError, InvalidEventError, TransientError
from events.streams import DISPATCH
from events.subjects import subject_of
from events.task import TaskAssigned, TaskEntered
from events.texts import with_texts
from events.work import StepDone, WorkAssigned, WorkContext, WorkStopped
from producers.work_queues import WorkQueues
from storage.lookup import Lookup, TaskView

log = structlog.get_logger()

_SOURCE = f"/consumers/{DISPATCH.name}"
_LOOK_EVERY = 60.0


class NotCommittedYetError(TransientError):
    """The task's row is not where its event says it is; the event is committed first, so this passes."""

    code = "not_committed_yet"


class Dispatch:
    """Hands out the work of outside agents."""

    def __init__(self, lookup: Lookup, queues: WorkQueues) -> None:
        self._lookup = lookup
        self._references = References(lookup)
        self._queues = queues

    async def hand_out(self, event: Event[EventData]) -> Sequence[Output]:
        """The assignment, if the task is an outside agent's and still so; nothing for all other tasks."""
        data = event.data
        if isinstance(data, TaskAssigned) and data.agent_id is not None and is_outside(data.agent_id):
            return await self._assignment(event, data, data.agent_id)
        if isinstance(data, AgentActive | AgentGone) and data.outside:
            await self._keep_queue(event.tenantid, data.agent_id)
        return ()

    async def _keep_queue(self, tenant: str, agent_id: str) -> None:
        """Make the agent's queue, or remove it, as the agent is by now, until it stayed so meanwhile.

        What is heard of an agent may come late and out of order, and to several of us: whoever acts last has looked
        since, and nobody removes what was assigned behind a look.
        """
        done: bool | None = None
        while (is_there := await self._lookup.has_agent(tenant, agent_id)) is not done:
            if is_there:
                await self._queues.ensure(tenant, agent_id)
            else:
                end = await self._queues.end()
                if await self._lookup.has_agent(tenant, agent_id):
                    continue  # what lies before the end may be its own by now
                await self._queues.remove(tenant, agent_id, up_to=end)
            done = is_there

    async def _assignment(self, event: Event[EventData], data: TaskAssigned, agent_id: str) -> Sequence[Output]:
        task = await self._lookup.task(data.task_id)
        if task is None:
            raise NotCommittedYetError
        if task.attempt != data.attempt or task.status != "assigned" or task.agent_id != agent_id:
            return ()
        await self._queues.ensure(event.tenantid, agent_id)
        steps = await steps_of(task.spec, self._lookup)
        work = work_of(task, agent_id, await self._references.of(task), steps)
        given = await given_to(task, self._lookup)
        if given is None:
            return [work]
        return [work.model_copy(update={"checkpoint": as_work(given, len(work.model_dump_json().encode()))})]


class Stops:
    """Tells outside agents which of their runs are over, as soon as the keeper has said so."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def listen(self) -> None:
        """Tell until the connection closes; of several processes one tells."""
        for subject in STOPPING_SUBJECTS:
            await self._client.subscribe(subject, queue=DISPATCH.name, cb=self._on_state)

    async def _on_state(self, message: Msg) -> None:
        with contextlib.suppress(InvalidEventError):
            event = decode(message.data, message.headers)
            data = event.data
            if isinstance(data, TaskEntered) and data.agent_id is not None and is_outside(data.agent_id):
                stopped = WorkStopped(
                    task_id=data.task_id,
                    run_id=ids.run_id(data.task_id, data.attempt),
                    attempt=data.attempt,
                    agent_id=data.agent_id,
                    reason=data.reason or data.status,
                )
                told = event.caused(stopped, source=_SOURCE)
                await self._client.publish(subject_of(told), encode(told))


class Purge:
    """Keeps the queues from filling up with what agents have settled, beside everything else, once started."""

    def __init__(self, queues: WorkQueues) -> None:
        self._queues = queues
        self._purging: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; an absent bus delays it and stops nothing."""
        self._purging = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            try:
                await self._queues.purge()
            except BusUnavailableError as error:
                log.warning("work_purge_failed", stream="WORK", code=error.code)
            await asyncio.sleep(_LOOK_EVERY)


def work_of(
    task: TaskView, agent_id: str, contexts: tuple[WorkContext, ...] = (), steps: tuple[StepDone, ...] = ()
) -> WorkAssigned:
    """What the agent may see of a task: every text as policy redacts it, the contexts that it refers to, and what the
    steps that it builds on have brought.
    """
    spec = with_texts(task.spec, task.redacted)
    return WorkAssigned(
        task_id=task.id,
        run_id=ids.run_id(task.id, task.attempt),
        attempt=task.attempt,
        agent_id=agent_id,
        kind=spec.kind,
        prompt=spec.prompt,
        context=spec.context,
        constraints=spec.constraints,
        acceptance_criteria=spec.acceptance_criteria,
        metadata=spec.metadata,
        required_capabilities=spec.required_capabilities,
        budget=spec.budget,
        priority=spec.priority,
        deadline_at=spec.deadline_at,
        contexts=contexts,
        steps=steps or None,
    )


def build(resources: Resources) -> Flow:
    """The consumer."""
    queues = WorkQueues(resources.client)
    dispatch, stops, purge = Dispatch(resources.lookup, queues), Stops(resources.client), Purge(queues)

    async def start() -> None:
        await stops.listen()
        await purge.start()

    return Flow(DISPATCH, dispatch.hand_out, start=start)
