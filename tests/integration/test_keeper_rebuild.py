"""A rebuild folds the log again: it finds the rows that are there, and says so when they are not."""

from collections.abc import AsyncGenerator
from uuid import UUID

import pytest

from consumers.keeper import controls
from consumers.keeper.rebuild import rebuild
from consumers.keeper.world import Effect
from consumers.planner.plan import Asked, make
from deploy.local.server import Server
from events import (
    ContextChange,
    Event,
    EventData,
    PlanOptions,
    RunToolCalled,
    TaskChecked,
    TaskControl,
    TaskDecompose,
    TaskSpec,
)
from events.context import ContextOp
from events.ids import new_id
from tests.support.running_keeper import Bus, Led, a_bus, checked, decided, finished, named, started


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus


async def eventful(bus: Bus) -> None:
    """Tasks that ended well, badly, twice over and by poison, one divided, contexts, and two that wait for another."""
    led = await bus.keeper()
    good, poisoned, cancelled, failing = [await bus.submit(f"{name}\0") for name in "abcd"]
    await bus.run_through(good)
    await bus.again(good)
    await bus.say(poisoned, checked(poisoned, us=2**31))
    assert cancelled.taskid is not None
    for seed in "12":
        await bus.say(cancelled, TaskControl(task_id=cancelled.taskid, action="cancel", by="o"), seed=seed)
    for data in (checked(failing, "redact", redacted={"goal": "x"}), decided(failing), started(failing)):
        await bus.say(failing, data)
    await bus.say(failing, finished(failing, "failed", output={"text": "\0", "n": 10**30}))
    await shared(bus)
    led, held = await tied(bus, led)
    await (await bus.publisher.send_bytes("bus.t.task.submitted.0", b"{", "garbage"))
    await bus.folded()
    await led.stop()
    assert await bus.database.fetchval("SELECT course->>'held' FROM task WHERE id = $1", held.taskid) == "succeeded"
    await divided(bus)


async def tied(bus: Bus, led: Led) -> tuple[Led, Event[EventData]]:
    """One task whose end waits for another and one whose start does; a later keeper finds them in the database."""
    other = await bus.submit()
    links = [{"task_id": other.taskid, "type": one} for one in ("start_to_start", "finish_to_finish")]
    held, later = await bus.submit(depends_on=links), await bus.submit(depends_on=links[:1], hold=True)
    changed = {"task_id": later.taskid, "action": "add_dependency", "by": "o", "dependency": links[1]}
    await bus.say(later, TaskControl.model_validate(changed))
    await bus.say(held, checked(held))
    await bus.folded()
    await led.stop()
    led = await bus.keeper()
    for cause in (other, held):
        for data in (checked(cause), decided(cause), started(cause))[cause is held :]:
            await bus.say(cause, data)
    await bus.say(held, finished(held))
    return led, held


async def shared(bus: Bus) -> None:
    """Contexts that were changed, merged, deleted, and changed in vain."""
    one, other = new_id(), new_id()
    step = ContextOp(op="set", path="f", value=1e300)
    for data in (
        ContextChange(
            context_id=one, action="create", by="o", scope="global", data={"z": -0.0, "n": 10**30, "a\0": None}
        ),
        ContextChange(context_id=one, action="change", by="o", ops=(step,)),
        ContextChange(context_id=other, action="create", by="o", scope="agent", agent_id="a", data={"f": 1}),
        ContextChange(context_id=other, action="merge", by="o", sources=(one,), strategy="last_write_wins"),
        ContextChange(context_id=one, action="change", by="o", ops=(step,), expected_version=1),
        ContextChange(context_id=one, action="delete", by="o"),
    ):
        await bus.publisher.publish(Event.first(data, source="/gateway", tenant="t", owner="o"))


async def divided(bus: Bus) -> None:
    """A task, its plan, and its first step, each under a keeper that finds in the database what came before."""
    spec = TaskSpec(prompt="Prepare the party.", hold=True)
    task = await bus.submit(spec.prompt, hold=True)
    assert task.taskid is not None
    plan = make(Asked(task.taskid, new_id(), spec, PlanOptions()))
    asked = TaskDecompose(task_id=task.taskid, plan_id=plan.plan_id, by="o")
    for said in ((checked(task), asked), (plan,)):
        led = await bus.keeper()
        for data in said:
            await bus.say(task, data)
        await bus.folded()
        await led.stop()
    led = await bus.keeper()
    first = plan.children[0].task_id
    verdict = TaskChecked(task_id=first, decision="allow", rules_version="1")
    step = Event.first(verdict, source="/consumers/reflex", tenant=task.tenantid, owner=task.ownerid, task_id=first)
    await bus.publisher.publish(step)
    await bus.enters(first, "ready")
    assert await bus.status(task.taskid) == "waiting"
    await bus.folded()
    await led.stop()


async def test_the_log_gives_the_rows_that_are_there(bus: Bus) -> None:
    await eventful(bus)
    report = await rebuild(bus.database_url, swap=False)
    assert report.same, report
    rows = {table.table: table.rows for table in report.tables}
    assert [rows[name] for name in ("context", "context_change", "context_shelf")] == [2, 5, 1]
    assert report.events == await bus.database.fetchval("SELECT count(*) FROM event_log")


async def test_a_number_names_one_use_of_a_tool_in_a_run_and_the_first_that_was_told_is_kept(bus: Bus) -> None:
    """Also if a keeper hears them together, and if two agents have chosen the same name for their executions."""
    tasks, execution = [await bus.submit(), await bus.submit()], new_id()
    told = []
    for task in tasks:
        for data in (checked(task), decided(task), started(task, execution_id=execution)):
            await bus.say(task, data)
        told += [await used(bus, task, execution, seq, tool) for seq, tool in ((2, "b"), (2, "c"), (1, "a"))]
    led = await bus.keeper()
    await bus.folded()
    told += [await used(bus, task, execution, 1, "late") for task in tasks]
    await bus.folded()
    rows = await bus.database.fetch("SELECT task_id, tool FROM tool_call ORDER BY seq")
    assert {task.taskid: [row["tool"] for row in rows if row["task_id"] == task.taskid] for task in tasks} == {
        task.taskid: ["a", "b"] for task in tasks
    }
    outcomes = [await bus.outcome(event) for event in told]
    assert outcomes == [*("applied", "refused:seq_taken", "applied") * 2, *("refused:seq_taken",) * 2]
    await led.stop()
    report = await rebuild(bus.database_url, swap=False)
    assert report.same, report


async def used(bus: Bus, task: Event[EventData], execution: UUID, seq: int, tool: str) -> Event[EventData]:
    said = RunToolCalled.model_validate({**named(task, execution=execution), "seq": seq, "tool": tool})
    return await bus.say(task, said, seed=f"{task.id} {seq} {tool}")


async def test_rows_that_were_changed_by_hand_are_found_and_mended(bus: Bus) -> None:
    await eventful(bus)
    rows = "SELECT * FROM task ORDER BY id"
    before = await bus.database.fetch(rows)
    await bus.database.execute("UPDATE task SET reason = 'by hand' WHERE status = 'succeeded'")
    await bus.database.execute("DELETE FROM task WHERE status = 'cancelled'")
    report = await rebuild(bus.database_url)
    assert not report.same
    assert await bus.database.fetch(rows) == before
    assert (await rebuild(bus.database_url, swap=False)).same


async def test_a_poison_event_whose_task_cannot_be_ended_either_stops_nobody(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[Effect]:
        raise ZeroDivisionError

    monkeypatch.setitem(controls._RULES, "fail", broken)
    culprit, behind = [await bus.submit(name) for name in ("culprit", "behind")]
    bad = await bus.say(culprit, checked(culprit, us=2**31))
    await bus.say(behind, checked(behind))
    led = await bus.keeper()
    await bus.folded()
    assert [await bus.status(cause.taskid) for cause in (culprit, behind)] == ["submitted", "ready"]
    assert await bus.outcome(bad) == "poison:alone"
    assert (await bus.client.jetstream().stream_info("DLQ")).state.messages == 1
    await bus.say(culprit, checked(culprit), seed="again")
    await bus.folded()
    assert await bus.status(culprit.taskid) == "ready"
    await led.stop()
    monkeypatch.undo()
    report = await rebuild(bus.database_url, swap=False)
    assert report.same, report


DESCRIBED = (
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "SELECT relname, reloptions FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'",
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
    """SELECT table_name, column_name, data_type, is_nullable, column_default,
    col_description((table_schema || '.' || table_name)::regclass, ordinal_position)
    FROM information_schema.columns WHERE table_schema = 'public'""",
)
"""What a migration, or the plan of a statement, may rely on."""


async def test_the_tables_put_in_place_are_made_like_those_they_replace(bus: Bus) -> None:
    await eventful(bus)
    before = [await bus.database.fetch(f"{query} ORDER BY 1, 2") for query in DESCRIBED]
    assert (await rebuild(bus.database_url)).swapped
    assert [await bus.database.fetch(f"{query} ORDER BY 1, 2") for query in DESCRIBED] == before
