"""A value has one name in all of a session, whoever redacted it and in whatever order."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from consumers.keeper.placeholders import (
    AGGREGATE,
    MOST,
    PlaceholderState,
    evolve,
    named,
    names_for,
    renamed,
    state_id,
)
from consumers.keeper.world import Key, World
from events.base import Event, EventData, JsonObject
from events.ids import new_id
from events.run import RunFinished, RunProgress, RunToolCalled
from events.task import Sealed, TaskChecked, TaskError
from storage.models import placeholder

AT = datetime(2026, 11, 21, tzinfo=UTC)
TASK = new_id()


def sealed(**values: str) -> dict[str, Sealed]:
    return {name: Sealed(tag=f"tag of {value}", value=f"sealed {value}") for name, value in values.items()}


def event(data: EventData, session: str | None = "s", tenant: str = "t") -> Event[EventData]:
    return Event.first(data, source="/x", tenant=tenant, owner="ann", task_id=TASK, session_id=session)


def checked(text: str, **values: str) -> TaskChecked:
    return TaskChecked(
        task_id=TASK, decision="redact", redacted={"goal": text}, sealed=sealed(**values), rules_version="r"
    )


def finished(output: str, **values: str) -> RunFinished:
    ids = {"run_id": new_id(), "task_id": TASK, "execution_id": new_id(), "attempt": 1, "agent_id": "a"}
    return RunFinished(**ids, outcome="succeeded", output={"text": output}, sealed=sealed(**values))


def folded(*events: Event[EventData]) -> tuple[list[EventData], PlaceholderState | None]:
    ids = {state_id(one) for one in events}
    world = World({Key(PlaceholderState, one): None for one in ids})
    results = []
    for one in events:
        after = named(world, one)
        evolve(world, after, AT)
        results.append(after.data)
    return results, world.get(PlaceholderState, state_id(events[-1]))


def test_errors_notes_and_tools_are_told_with_the_names_of_the_session() -> None:
    ids = {"run_id": new_id(), "task_id": TASK, "execution_id": new_id(), "attempt": 1, "agent_id": "a"}
    other = sealed(SSN_1="bob")
    error = TaskError(code="no [SSN_1]", message="[SSN_1] is not known", retryable=True)
    (_, note, called, failed), _ = folded(
        event(checked("of [SSN_1]", SSN_1="ann")),
        event(RunProgress(**ids, seq=1, note="reading [SSN_1]", sealed=other)),
        event(RunToolCalled(**ids, seq=1, tool="find [SSN_1]", sealed=other)),
        event(RunFinished(**ids, outcome="failed", error=error, sealed=other)),
    )
    assert isinstance(note, RunProgress)
    assert isinstance(called, RunToolCalled)
    assert isinstance(failed, RunFinished)
    assert (note.note, called.tool) == ("reading [SSN_2]", "find [SSN_2]")
    assert failed.error == TaskError(code="no [SSN_2]", message="[SSN_2] is not known", retryable=True)


def test_the_same_value_keeps_its_name_and_another_one_gets_the_next() -> None:
    results, state = folded(
        event(checked("to [EMAIL_1] and [EMAIL_2]", EMAIL_1="ann", EMAIL_2="bob")),
        event(checked("to [EMAIL_1] and [EMAIL_2]", EMAIL_1="bob", EMAIL_2="carl")),
        event(finished("wrote to [EMAIL_1], [SSN_1]", EMAIL_1="carl", SSN_1="dora")),
    )
    texts = [
        d.redacted if isinstance(d, TaskChecked) else d.output
        for d in results
        if isinstance(d, TaskChecked | RunFinished)
    ]
    assert texts == [
        {"goal": "to [EMAIL_1] and [EMAIL_2]"},
        {"goal": "to [EMAIL_2] and [EMAIL_3]"},
        {"text": "wrote to [EMAIL_3], [SSN_1]"},
    ]
    assert state is not None
    assert {name: kept.value for name, kept in state.names.items()} == {
        "EMAIL_1": "sealed ann",
        "EMAIL_2": "sealed bob",
        "EMAIL_3": "sealed carl",
        "SSN_1": "sealed dora",
    }


def test_names_of_another_session_or_tenant_are_others() -> None:
    first = event(checked("[EMAIL_1]", EMAIL_1="ann"))
    for other in (
        event(checked("[EMAIL_1]", EMAIL_1="bob"), "r"),
        event(checked("[EMAIL_1]", EMAIL_1="bob"), tenant="u"),
    ):
        results, state = folded(first, other)
        assert results[1] == other.data
        assert state is not None
        assert list(state.names) == ["EMAIL_1"]


def test_without_a_session_the_task_has_names_of_its_own() -> None:
    _, state = folded(event(checked("[EMAIL_1]", EMAIL_1="ann"), None))
    assert state is not None
    assert state.session_id == str(TASK)


def test_an_event_without_names_is_left_alone() -> None:
    plain = event(TaskChecked(task_id=TASK, decision="allow", rules_version="r"))
    assert named(World({}), plain) is plain


def test_a_session_has_a_bounded_number_of_names() -> None:
    many = {f"EMAIL_{n}": f"v{n}" for n in range(1, MOST + 10)}
    _, state = folded(event(checked("x", **many)))
    assert state is not None
    assert len(state.names) == MOST


KINDS = st.sampled_from(["EMAIL", "SSN", "CREDIT_CARD"])
VALUES = st.dictionaries(
    st.builds(lambda k, n: f"{k}_{n}", KINDS, st.integers(1, 6)), st.sampled_from("abcdef"), max_size=6
)


@given(VALUES, VALUES)
def test_no_two_values_ever_share_a_name(first: dict[str, str], second: dict[str, str]) -> None:
    known = sealed(**first)
    final = names_for(sealed(**second), known)
    all_tags = [(name, value.tag) for name, value in known.items()]
    all_tags += [(final[name], value.tag) for name, value in sealed(**second).items()]
    for name, tag in all_tags:
        assert {other for again, other in all_tags if again == name} == {tag}


def test_names_are_exchanged_all_at_once() -> None:
    text: JsonObject = {"k": ["[A_1][A_2] [x [A_1", 7]}
    assert renamed(text, {"A_1": "A_2", "A_2": "A_1"}) == {"k": ["[A_2][A_1] [x [A_1", 7]}


def test_a_row_holds_a_state_and_gives_it_back() -> None:
    state = PlaceholderState("t/s", "t", "ann", "s", sealed(EMAIL_1="ann"))
    part, row = AGGREGATE.row_of(state)
    assert part == "placeholders"
    columns = [column.name for column in placeholder.columns]
    assert columns == list(PlaceholderState._fields)
    assert AGGREGATE.state_of(dict(zip(columns, row, strict=True))) == state
