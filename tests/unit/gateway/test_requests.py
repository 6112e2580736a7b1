"""What a body may hold, beyond what the OpenAPI tests try."""

import json
from uuid import uuid4

import pytest

from events.plan import PlanOptions
from events.task import TaskContext
from gateway.errors import InvalidBodyError
from gateway.http.bodies import read_body
from gateway.sessions.requests import CreateSessionRequest
from gateway.tasks.requests import DecomposeRequest, SubmitRequest, TaskRequest, priority_of

Asked = SubmitRequest | TaskRequest | CreateSessionRequest
BODIES: list[tuple[type[Asked], dict[str, str]]] = [
    (SubmitRequest, {"goal": "Summarise it."}),
    (TaskRequest, {"prompt": "Summarise it."}),
    (CreateSessionRequest, {"title": "Fix-It", "initial_prompt": "Find out why."}),
]


@pytest.mark.parametrize(("model", "body"), BODIES)
@pytest.mark.parametrize("priority", [True, False, 5, 1.5, "1", "urgent", None])
def test_a_priority_is_one_of_the_words_and_numbers_of_the_documents(
    model: type[Asked], body: dict[str, str], priority: object
) -> None:
    with pytest.raises(InvalidBodyError) as refused:
        read_body(model, json.dumps({**body, "priority": priority}).encode())
    assert {fault["field"].partition(".")[0] for fault in refused.value.faults} == {"priority"}
    for good in (0, 4, 1.0, "blocker", "deferred"):
        read_body(model, json.dumps({**body, "priority": good}).encode())


@pytest.mark.parametrize(
    ("meant", "said"),
    [
        ("critical", ("critical", "blocker", 0)),
        ("high", ("high", 1)),
        ("normal", ("normal", "medium", 2)),
        ("low", ("low", 3)),
        ("background", ("background", "deferred", 4)),
    ],
)
def test_the_three_scales_of_priorities_are_one(meant: str, said: tuple[object, ...]) -> None:
    """Requirements O.2."""
    for word in said:
        for model, body in BODIES:
            read = read_body(model, json.dumps({**body, "priority": word}).encode())
            assert priority_of(read.priority) == meant
    assert {priority_of(read_body(model, json.dumps(body).encode()).priority) for model, body in BODIES} == {"normal"}


@pytest.mark.parametrize(
    ("model", "place", "taken", "refused"),
    [
        (SubmitRequest, "goal", ("x", "x" * 10_000), ("", "x" * 10_001)),
        (SubmitRequest, "context", ("", "x" * 50_000), (1, "x" * 50_001)),
        (SubmitRequest, "budget.max_tokens", (1, 100_000), (0, 100_001)),
        (SubmitRequest, "budget.max_time_seconds", (1, 3_600), (0, 3_601)),
        (SubmitRequest, "budget.max_cost_usd", (0, 100), (-0.01, 100.01)),
        (CreateSessionRequest, "title", ("xxx", "x" * 100), ("xx", "x" * 101)),
        (CreateSessionRequest, "initial_prompt", ("x", "x" * 10_000), ("", "x" * 10_001)),
        (CreateSessionRequest, "max_duration_seconds", (60, 86_400), (59, 86_401)),
        (CreateSessionRequest, "tags", ([], ["x"] * 20), ("x", ["x"] * 21)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_body_has_the_bounds_of_its_document(
    model: type[Asked], place: str, taken: tuple[object, ...], refused: tuple[object, ...]
) -> None:
    """Requirements 000.2 and 002.2."""
    member, _, within = place.partition(".")
    for value in (*taken, *refused):
        asked = {**dict(BODIES)[model], member: {within: value} if within else value}
        if value in taken:
            read_body(model, json.dumps(asked).encode())
            continue
        with pytest.raises(InvalidBodyError) as error:
            read_body(model, json.dumps(asked).encode())
        assert {fault["field"] for fault in error.value.faults} == {place}


def test_what_nobody_says_is_as_the_documents_have_it() -> None:
    task = read_body(SubmitRequest, b'{"goal": "Summarise it."}').spec()
    assert (task.budget.max_tokens, task.budget.max_time_seconds, task.budget.max_cost_usd) == (10_000, 300, 1.0)
    assert (task.kind, task.constraints, task.context.text, task.acceptance_criteria) == ("goal", {}, None, ())
    session = read_body(CreateSessionRequest, b'{"title": "Fix-It", "initial_prompt": "Find out why."}')
    assert (session.session_type, session.max_duration_seconds, session.tags) == ("execution", 3_600, [])
    assert session.task().hold


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"goal": "Sum it."}, TaskContext()),
        ({"prompt": "Sum it.", "context": "By Friday."}, TaskContext(text="By Friday.")),
        ({"prompt": "Sum it.", "context": {"refs": ["a"], "data": {"b": 1}}}, TaskContext(refs=("a",), data={"b": 1})),
    ],
)
def test_both_spellings_of_a_task_are_taken(said: dict[str, object], meant: TaskContext) -> None:
    """Requirements O.2: `goal` or `prompt`; a text for a context, or its parts."""
    spec = read_body(TaskRequest, json.dumps(said).encode()).spec()
    assert (spec.prompt, spec.context) == ("Sum it.", meant)


def test_the_words_of_another_document_are_taken_too() -> None:
    """Requirements 002.2: description, parent_task_id, task_type, estimated_hours from 0.1 to 1,000."""
    parent = str(uuid4())
    said = {"description": "Sum it.", "parent_task_id": parent, "task_type": "backend", "estimated_hours": 21}
    spec = read_body(TaskRequest, json.dumps(said).encode()).spec()
    assert (spec.prompt, str(spec.parent_id), spec.task_type) == ("Sum it.", parent, "backend")
    assert spec.estimate is not None
    assert (spec.estimate.likely, spec.estimate.level) == (21, "expert")
    for hours in (0.09, 1_000.1):
        with pytest.raises(InvalidBodyError):
            read_body(TaskRequest, json.dumps({"prompt": "x", "estimated_hours": hours}).encode())


def test_how_a_task_is_divided_has_bounds_and_defaults() -> None:
    """Requirements 2.2.A-20."""
    assert DecomposeRequest().options() == PlanOptions(max_depth=3, apply_templates=True, apply_rules=True)
    for wrong in ({"max_depth": 0}, {"max_depth": 6}, {"apply_rules": "yes"}, {"template": "no name"}, {"depth": 1}):
        with pytest.raises(InvalidBodyError):
            read_body(DecomposeRequest, json.dumps(wrong).encode())
