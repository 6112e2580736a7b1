"""Tasks and their rows: what the fold wrote is what it reads, column by column, through a real Postgres."""

from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.keeper.rows import life_row, planned_row, state_of, steered_row, task_row
from consumers.keeper.state import Birth, Course, TaskState
from events import STATE_EVENTS, Budget, Dependency, Routing, TaskError, TaskSpec
from events.errors import LeaseLostError
from events.task import DependencyType
from storage.keeper import Changes, KeeperStore, Position, RepeatedEventError
from storage.models import task
from storage.parts import TASK_COLUMNS, TASK_FOLD, TASK_LIFE, TASK_PLANNED, TASK_STEERED
from storage.unnest import columns_of
from tests.support.payloads import INSTANTS, JSON, NAMES, TEXT

AT = datetime(2026, 1, 1, tzinfo=UTC)
PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
MAYBE_TEXT = st.none() | PLAIN
OBJECTS = st.none() | st.dictionaries(
    PLAIN, st.none() | st.booleans() | st.integers(-(2**70), 2**70) | PLAIN, max_size=3
)


def with_spec(task: TaskState) -> TaskState:
    """What is read out of the request is what the request says, unless that was changed."""
    assert task.birth is not None
    asked, linked = task.birth.spec, task.course.linked
    return task._replace(budget=asked.budget, depends_on=asked.depends_on if linked is None else linked)


LINKS = st.lists(
    st.builds(Dependency, task_id=st.uuids(), required=st.booleans(), type=st.sampled_from(get_args(DependencyType))),
    max_size=2,
).map(tuple)
BIRTHS = st.builds(
    Birth,
    spec=st.builds(
        TaskSpec,
        prompt=TEXT,
        metadata=st.dictionaries(TEXT, JSON, max_size=2),
        budget=st.builds(Budget, max_tokens=st.integers(1, 100_000), max_cost_usd=st.floats(0, 100)),
        depends_on=LINKS,
    ),
    idempotency_key=MAYBE_TEXT,
    body_sha256=MAYBE_TEXT,
    correlation_id=PLAIN,
    traceparent=MAYBE_TEXT,
)
COURSES = st.builds(
    Course,
    hold=st.booleans(),
    children=st.lists(st.uuids(), max_size=2).map(tuple),
    dependants=st.lists(st.uuids(), max_size=2).map(tuple),
    family=st.integers(0, 300),
    tokens=st.integers(0, 10**6),
    cost_usd=st.floats(0, 100),
    granted=st.integers(0, 9),
    ms=st.floats(0, 10**6),
    left=st.booleans(),
    asked=st.none() | st.just({"plan_id": str(uuid4()), "by": "o", "options": {"max_depth": 3}}),
    divided=st.booleans(),
    starters=st.lists(st.uuids(), max_size=2).map(tuple),
    begun=st.lists(st.uuids(), max_size=2).map(tuple),
    held=st.sampled_from([None, "succeeded", "partial"]),
    linked=st.none() | LINKS,
)
PLANNED = TaskSpec(prompt="x", budget=Budget(max_tokens=7), depends_on=(Dependency(task_id=uuid4()),))
TASKS = st.builds(
    TaskState,
    id=st.uuids(),
    tenant=NAMES,
    owner=NAMES,
    session_id=st.none() | NAMES,
    kind=st.sampled_from(["goal", "subtask", "turn", "refinement"]),
    required_capabilities=st.lists(NAMES, max_size=2).map(tuple),
    deadline_at=INSTANTS,
    status=st.sampled_from(sorted(STATE_EVENTS)),
    version=st.integers(1, 2**31 - 1),
    attempt=st.integers(0, 3),
    driving_id=PLAIN,
    created_at=INSTANTS,
    updated_at=INSTANTS,
    reason=MAYBE_TEXT,
    detail=MAYBE_TEXT,
    agent_id=st.none() | NAMES,
    run_id=st.none() | st.uuids(),
    execution_id=st.none() | st.uuids(),
    heartbeat_at=st.none() | INSTANTS,
    due_at=st.none() | INSTANTS,
    redacted=st.none() | st.dictionaries(PLAIN, PLAIN, max_size=2),
    result=OBJECTS,
    error=st.none() | st.builds(TaskError, code=PLAIN, message=PLAIN, retryable=st.booleans()),
    finished_at=st.none() | INSTANTS,
    priority=st.just("normal"),
    routing=st.none()
    | st.builds(
        Routing,
        preferred_agent_ids=st.lists(NAMES, max_size=2).map(tuple),
        preferred_agent_type=st.none() | NAMES,
        technologies=st.lists(NAMES, max_size=2).map(tuple),
        avoid_technologies=st.lists(NAMES, max_size=2).map(tuple),
        min_tier=st.sampled_from(["elite", "trainee", None]),
    ),
    hopcount=st.integers(0, 40),
    parent_id=st.none() | st.uuids(),
    root_id=st.none() | st.uuids(),
    course=st.just(Course()) | COURSES,
    effects_done=st.none() | st.booleans(),
    steered=st.sampled_from([False]),
    birth=BIRTHS,
    planned=st.none(),
).map(with_spec)


@pytest.fixture
async def store(database_url: str) -> KeeperStore:
    return await KeeperStore.connect(database_url, "test")


async def led(store: KeeperStore) -> Position:
    position = await store.acquire()
    assert position is not None
    return position


def drawn_tasks() -> list[list[TaskState]]:
    """Batches of any tasks, each task once: hypothesis draws, the event loop writes."""
    batches: list[list[TaskState]] = []
    seen: set[UUID] = set()

    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(TASKS, min_size=1, max_size=4, unique_by=lambda task: task.id))
    def draw(batch: list[TaskState]) -> None:
        batches.append([one for one in batch if one.id not in seen])
        seen.update(one.id for one in batch)

    draw()
    return batches


async def test_what_was_written_is_what_is_read(store: KeeperStore) -> None:
    place = await led(store)

    async def write(changes: Changes) -> None:
        nonlocal place
        await store.acquire()  # which renews it, should the machine be slow
        now = Position(place.epoch, place.seq + 1)
        await store.write(changes, place, now)
        place = now

    async def read(batch: list[TaskState]) -> list[TaskState]:
        found = {row["id"]: state_of(row) for row in await store.load("task", [one.id for one in batch])}
        return [found[one.id] for one in batch]

    for batch in drawn_tasks():
        await write(Changes({"born": [task_row(one) for one in batch]}))
        assert await read(batch) == [one._replace(birth=None) for one in batch]
        older = [one._replace(birth=None, version=1, reason="again", result={"a": None}) for one in batch]
        await write(Changes({"changed": [(one.id, *life_row(one)) for one in older]}))
        assert await read(batch) == older
        steered = [
            one._replace(course=one.course._replace(hold=True, granted=1, tokens=0), effects_done=True, deadline_at=AT)
            for one in older
        ]
        await write(Changes({"steered": [(one.id, *steered_row(one)) for one in steered]}))
        assert await read(batch) == steered
        planned = [
            one._replace(budget=PLANNED.budget, depends_on=PLANNED.depends_on, course=one.course._replace(linked=None))
            for one in steered
        ]
        rows = [(one.id, *planned_row(one._replace(planned=PLANNED))) for one in planned]
        await write(Changes({"planned": rows}))
        assert await read(batch) == planned
    await store.close()


def test_the_columns_and_the_fields_are_the_same() -> None:
    """`state_of` takes a row by name, `life_row` and `task_row` give one by place."""
    assert set(TASK_FOLD) == set(TaskState._fields) - {"birth", "steered", "planned", "budget", "depends_on"}
    assert columns_of(task) == TASK_COLUMNS
    assert TASK_COLUMNS[-len(TASK_LIFE) :] == TASK_LIFE
    newborn = TaskState(
        id=uuid4(),
        tenant="t",
        owner="o",
        session_id=None,
        kind="goal",
        required_capabilities=(),
        deadline_at=AT,
        status="submitted",
        version=1,
        attempt=0,
        driving_id="d",
        created_at=AT,
        updated_at=AT + timedelta(1),
        birth=Birth(TaskSpec(prompt="x"), None, None, "c", None),
    )
    row = dict(zip(TASK_COLUMNS, task_row(newborn), strict=True))
    assert (row["tenant"], row["owner"], row["kind"], row["status"]) == ("t", "o", "goal", "submitted")
    assert (row["correlation_id"], row["driving_id"]) == ("c", "d")
    assert (row["created_at"], row["updated_at"]) == (AT, AT + timedelta(1))
    assert dict(zip(TASK_LIFE, life_row(newborn), strict=True)).items() <= row.items()
    assert dict(zip(TASK_STEERED, steered_row(newborn), strict=True)).items() <= row.items()
    planned = newborn._replace(planned=TaskSpec(prompt="x"))
    assert dict(zip(TASK_PLANNED, planned_row(planned), strict=True)).items() <= row.items()


_RUN_OUT = "UPDATE keeper SET until = now() - interval '1 second'"


async def test_a_lease_that_ran_out_is_still_good_until_another_takes_it(store: KeeperStore, database_url: str) -> None:
    """Where each commit takes longer than the lease is for, nobody would else ever write."""
    place = await led(store)
    other = await KeeperStore.connect(database_url, "other")
    database = await asyncpg.connect(database_url)
    try:
        await database.execute(_RUN_OUT)
        await store.write(Changes({"gaps": [("e", 1, 2, AT)]}), place, Position("e", 2))
        await database.execute(_RUN_OUT)
        await store.renew()
        assert await other.acquire() is None
    finally:
        for one in (store, other, database):
            await one.close()


async def test_a_repeat_is_known_for_one_while_what_it_led_to_waits_to_be_published(store: KeeperStore) -> None:
    """A keeper that took it for a lost lease would meet it again in each term, before it published anything."""
    place = await led(store)

    def changes(seq: int, event_id: str, position: int, led_to: str) -> Changes:
        logged = ("e", seq, "/x", event_id, "t", "t", "o", None, None, AT, "applied", b"{}")
        return Changes({"logged": [logged], "sent": [(position, led_to, "s", b"{}")]})

    await store.write(changes(1, "a", 1, "of a"), place, Position("e", 1))
    with pytest.raises(RepeatedEventError):
        await store.write(changes(2, "a", 2, "of a"), Position("e", 1), Position("e", 2))
    with pytest.raises(LeaseLostError):
        await store.write(changes(2, "b", 1, "of b"), Position("e", 1), Position("e", 2))


async def test_a_write_from_another_place_or_without_the_lease_changes_nothing(
    store: KeeperStore, database_url: str
) -> None:
    place = await led(store)
    other = await KeeperStore.connect(database_url, "other")
    database = await asyncpg.connect(database_url)
    gap = Changes({"gaps": [("e", 1, 2, AT)]})
    try:
        assert await other.acquire() is None
        for writer, was in ((other, place), (store, Position("x", place.seq)), (store, Position(place.epoch, 5))):
            with pytest.raises(LeaseLostError):
                await writer.write(gap, was, Position("e", 2))
        await database.execute(_RUN_OUT)
        assert await other.acquire() == place
        with pytest.raises(LeaseLostError):
            await store.write(gap, place, Position("e", 2))
        with pytest.raises(LeaseLostError):
            await store.renew()
        assert await database.fetchval("SELECT count(*) FROM event_gap") == 0
        await other.write(gap, place, Position("e", 2))
        assert await database.fetchval("SELECT count(*) FROM event_gap") == 1
    finally:
        for one in (store, other, database):
            await one.close()
