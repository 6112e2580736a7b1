"""What the consumer states that calls agents, without a bus: it looks first, hands back, and heeds what it missed."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from consumers._execution import NotCommittedYetError
from consumers.push.client import AgentClient, Call
from consumers.push.consumer import Push
from consumers.push.settings import PushSettings
from events.base import Event, EventData
from events.endpoints import EndpointForbiddenError, EndpointRules
from events.errors import GanglionError
from events.ids import new_id, run_id
from events.run import RunFinished, RunProgress, RunStarted
from events.task import Budget, Status, TaskAssigned, TaskSpec
from events.texts import texts_of
from screening.sealing import Sealer
from storage.called import CalledAgent
from storage.lookup import TaskView
from tests.support.lookups import NoLookup

AGENT = "AGENT-CALLED"
SEALER = Sealer(b"k" * 32)


def task(status: Status = "assigned", attempt: int = 1, seconds: int = 300) -> TaskView:
    task_id = new_id()
    return TaskView(
        id=task_id,
        tenant="acme",
        owner="ada",
        session_id=None,
        status=status,
        attempt=attempt,
        agent_id=AGENT,
        run_id=run_id(task_id, attempt),
        execution_id=new_id() if status == "running" else None,
        spec=TaskSpec(prompt="Do it.", budget=Budget(max_time_seconds=seconds), metadata={"n": 2**70}),
        redacted={},
    )


def assigned(task: TaskView, *, pushed: bool = True) -> Event[EventData]:
    data = TaskAssigned(
        task_id=task.id, kind="goal", from_status="ready", version=3, attempt=1, agent_id=AGENT, pushed=pushed or None
    )
    return Event.first(data, source="/keeper", tenant="acme", owner="ada", task_id=task.id)


class Rows(NoLookup):
    """The task as it is at each look, the last again and again; and where its agent is called."""

    def __init__(self, *tasks: TaskView | None, url: str | None = "https://agent.example") -> None:
        self.tasks = list(tasks)
        self.url = url

    async def task(self, task_id: UUID) -> TaskView | None:
        found = self.tasks.pop(0) if len(self.tasks) > 1 else self.tasks[0]
        assert found is None or found.id == task_id
        return found

    async def called(self, tenant: str, agent_id: str) -> CalledAgent | None:
        assert (tenant, agent_id) == ("acme", AGENT)
        return None if self.url is None else CalledAgent(self.url, "h" * 64)


class Line(AgentClient):
    """A client without a line: it does what a test says."""

    def __init__(self, does: Callable[[], bytes] | None = None) -> None:
        super().__init__(PushSettings(), EndpointRules.of())
        self.calls: list[Call] = []
        self._does = does

    async def ask(self, call: Call) -> bytes:
        self.calls.append(call)
        if self._does is None:
            await asyncio.Event().wait()
        assert self._does is not None
        return self._does()


async def facts_of(
    rows: Rows, line: Line, task: TaskView, *, sealer: Sealer | None = SEALER, pushed: bool = True
) -> list[EventData]:
    push = Push(line, rows, sealer, heartbeat=0.01)
    return [fact async for fact in push.run(assigned(task, pushed=pushed))]


def end_of(facts: Sequence[EventData]) -> tuple[str, str | None, bool]:
    last = facts[-1]
    assert isinstance(last, RunFinished)
    return last.outcome, None if last.error is None else last.error.code, bool(last.error and last.error.retryable)


async def test_a_message_that_comes_again_reports_the_run_lost_and_calls_nobody() -> None:
    one, line = task("running"), Line()
    facts = await facts_of(Rows(one), line, one)
    assert end_of(facts) == ("lost", "caller_lost", True)
    assert line.calls == []


@pytest.mark.parametrize("change", [{"status": "cancelled"}, {"attempt": 2}, {"status": "succeeded"}], ids=str)
async def test_what_is_not_to_be_done_any_more_is_not_done(change: dict[str, object]) -> None:
    one, line = task(), Line()
    assert await facts_of(Rows(replace(one, **change)), line, one) == []  # type: ignore[arg-type]  # fields of a view
    assert await facts_of(Rows(one), line, one, pushed=False) == []
    assert line.calls == []


async def test_who_is_told_before_the_row_is_there_asks_again() -> None:
    one = task()
    with pytest.raises(NotCommittedYetError):
        await facts_of(Rows(None), Line(), one)


async def test_an_agent_that_is_not_called_any_more_costs_no_attempt() -> None:
    one, line = task(), Line()
    facts = await facts_of(Rows(one, url=None), line, one)
    assert [type(fact) for fact in facts] == [RunFinished]
    assert end_of(facts) == ("lost", "declined", True)
    assert line.calls == []


async def test_without_a_key_nobody_is_called() -> None:
    one, line = task(), Line()
    facts = await facts_of(Rows(one), line, one, sealer=None)
    assert [type(fact) for fact in facts] == [RunStarted, RunFinished]
    assert end_of(facts) == ("failed", "no_signing_key", True)
    assert line.calls == []


async def test_who_missed_that_the_task_goes_on_without_it_finds_out_at_the_next_sign_of_life() -> None:
    one, line = task(), Line()
    facts = await facts_of(Rows(one, replace(one, status="running"), replace(one, attempt=2)), line, one)
    assert [type(fact) for fact in facts] == [RunStarted, RunProgress, RunFinished]
    assert end_of(facts) == ("cancelled", "cancelled", False)


async def test_time_that_is_up_before_it_began_calls_nobody() -> None:
    one, line = task(), Line()
    late = replace(
        one,
        spec=one.spec.model_copy(
            update={"deadline_at": Event.first(assigned(one).data, source="/x", tenant="t", owner="o").time}
        ),
    )
    facts = await facts_of(Rows(late), line, one)
    assert end_of(facts) == ("timed_out", "agent_timeout", False)
    assert line.calls == []


async def test_a_call_is_of_the_run_and_signed_for_this_registration() -> None:
    one = task()
    line = Line(lambda: b'{"task_id": "%s", "status": "completed"}' % str(one.id).encode())
    facts = await facts_of(Rows(one), line, one)
    assert [type(fact) for fact in facts] == [RunStarted, RunFinished]
    (call,) = line.calls
    assert (call.id, call.url) == (str(one.run_id), "https://agent.example")
    assert call.secrets == SEALER.secrets_for("acme", "push", AGENT, "h" * 64)
    assert str(2**70).encode() in call.body


async def test_every_text_is_sent_as_policy_lets_an_agent_see_it() -> None:
    one = task()
    said = one.spec.model_copy(update={"prompt": "Mail ada@example.org", "acceptance_criteria": ("ada@example.org",)})
    hidden = {"goal": "Mail [EMAIL_1]", "acceptance_criteria/0": "[EMAIL_1]"}
    assert set(texts_of(said)) >= set(hidden)
    line = Line(lambda: b"{}")
    await facts_of(Rows(replace(one, spec=said, redacted=hidden)), line, one)
    body = line.calls[0].body
    assert body.count(b"[EMAIL_1]") == 2
    assert b"ada@" not in body


def test_a_secret_is_of_one_tenant_agent_registration_and_key() -> None:
    both = Sealer(b"n" * 32, b"k" * 32)
    assert both.secrets_for("acme", "push", AGENT, "h")[1:] == SEALER.secrets_for("acme", "push", AGENT, "h")
    others = [("other", "push", AGENT, "h"), ("acme", "x", AGENT, "h"), ("acme", "push", "B", "h")]
    parts = [*others, ("acme", "push", AGENT, "i"), ("acme", "push", f"{AGENT}h", ""), ("acme", "push", AGENT, "h")]
    found = {SEALER.secrets_for(*part)[0] for part in parts}
    assert len(found) == len(parts)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (EndpointForbiddenError(), ("failed", "endpoint_forbidden", True)),
        (ValueError("x"), ("failed", "agent_error", True)),
    ],
    ids=str,
)
async def test_what_goes_wrong_with_a_call_is_the_end_of_its_run(error: Exception, said: tuple[str, str, bool]) -> None:
    def fails() -> bytes:
        raise error

    assert not isinstance(error, GanglionError) or error.code == said[1]
    one = task()
    assert end_of(await facts_of(Rows(one), Line(fails), one)) == said
