"""What must hold: watched with every event that is folded, and looked at when everything has come to rest."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from redis.asyncio import Redis

from consumers.keeper.agent_state import AgentState
from consumers.keeper.family import FOR_GOOD
from consumers.keeper.state import TaskState
from consumers.keeper.world import World
from events import Event, EventData, RunStarted, TaskEntered
from events.codec import decode_structured
from events.dependency import HOLDS_START, standing
from events.task import FINAL, Status
from storage.live.store import LEASE_SECONDS
from tests.simulation.keeper import Tables

_P = "ganglion:agents:"


class Checker:
    """Collects what was violated."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self.problems: list[str] = []
        self.watches_capacity = True
        """Until a log is lost, with what would have taken or freed slots, or Valkey beside a decision not yet told."""
        self.began: datetime | None = None
        self._entered: dict[UUID, list[tuple[int, Status]]] = {}
        self._begun: set[UUID] = set()

    def watch(self, world: World, led_to: Sequence[Event[EventData]], at: datetime) -> None:
        """One event was folded. A lease that nobody renews lapses, whatever the tables say until it is noticed."""
        self.began = self.began or at
        for event in led_to:
            if isinstance(event.data, TaskEntered):
                self._step(world, event.data)
        if led_to and self.watches_capacity and at - self.began < timedelta(seconds=LEASE_SECONDS):
            self._count_slots(world)

    def _step(self, world: World, data: TaskEntered) -> None:
        course = self._entered.setdefault(data.task_id, [(1, "submitted")])
        version, status = course[-1]
        if (data.version, data.from_status) != (version + 1, status):
            self.broken(f"{data.task_id}: {data.status} as {data.version} behind {course}")
        if status in FOR_GOOD:
            self.broken(f"{data.task_id}: left {status} for {data.status}")
        course.append((data.version, data.status))
        if data.status == "running":
            self._begun.add(data.task_id)
        if data.status == "ready" and status != "ready" and data.reason not in ("retry", "resumed"):
            self._look_at_dependencies(world, data)

    def _look_at_dependencies(self, world: World, data: TaskEntered) -> None:
        """A task never passes the door before what it waits for: looked at as it is after the event that let it."""
        task = world.get(TaskState, data.task_id)
        for one in task.depends_on if task is not None else ():
            other = self._entered.get(one.task_id, [(1, "submitted")])[-1][1]
            if one.type in HOLDS_START and standing(one, other, begun=one.task_id in self._begun) == "unmet":
                self.broken(f"{data.task_id}: ready before {one.task_id}, which is {other}")

    def _count_slots(self, world: World) -> None:
        """No agent has more in hand, as the tables see it, than it can take."""
        busy: Counter[str | None] = Counter()
        capacities: dict[str, int] = {}
        for state in world._states.values():
            if isinstance(state, TaskState) and state.status in ("assigned", "running") and state.course.held is None:
                busy[state.agent_id] += 1
            elif isinstance(state, AgentState):
                capacities[state.agent_id] = state.capacity
        for agent_id, most in capacities.items():
            if busy[agent_id] > most:
                self.broken(f"{agent_id} has {busy[agent_id]} in hand, and room for {most}")

    def look(self, tables: Tables) -> None:
        """Everything has come to rest."""
        for task in tables.tasks():
            if task.status not in FINAL:
                self.broken(
                    f"{task.id}: never ended: {task.status} since {task.updated_at}, {task.reason} {task.detail}"
                )
            if self._entered.get(task.id, [(1, "submitted")])[-1] != (task.version, task.status):
                self.broken(f"{task.id}: {task.status} as {task.version} was never told")
        if tables.outbox:
            self.broken(f"{len(tables.outbox)} events never came back")
        begun = [
            row.body for row in tables.by_id.values() if row.type == RunStarted.event_type and row.outcome == "applied"
        ]
        runs = Counter(getattr(decode_structured(body).data, "run_id", None) for body in begun)
        for run, times in runs.items():
            if times > 1:
                self.broken(f"run {run} has begun {times} times")

    async def look_at_live_state(self, redis: Redis) -> None:
        """Nothing is left of what has ended: no slot, no place in a line, no lease that had to lapse."""
        for name in ("lease", "lapsed", "waiting", "asked"):
            left = await redis.hgetall(f"{_P}{name}")
            if left:
                self.broken(f"the live state holds {name} of {len(left)}: {left}")
        lines = [key async for key in redis.scan_iter(f"{_P}wait:*")]
        leases = [key async for key in redis.scan_iter(f"{_P}leases:*")]
        if lines or leases:
            self.broken(f"the live state holds {lines} {leases}")

    def broken(self, problem: str) -> None:
        """Something that must hold did not."""
        self.problems.append(problem)
        self._note(f"VIOLATED {problem}")
