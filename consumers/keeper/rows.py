"""Between a TaskState and its row: column order as in `storage/keeper.py`, JSON as text, no NUL anywhere.

Postgres cannot keep NUL in text or jsonb; an agent's result may hold one, so it becomes U+FFFD here and the exact
bytes stay in `event_log`.
"""

from datetime import datetime
from uuid import UUID

import orjson
from pydantic import BaseModel, JsonValue
from pydantic_core import from_json

from consumers.keeper.state import Course, SpecState, TaskState
from events.base import Event, EventData
from events.codec import encode, is_structured
from events.run import RunFinished, RunStarted, RunToolCalled
from events.task import Budget, Dependency, Routing, Status, TaskChecked, TaskError, TaskSpec
from producers.reader import Delivery
from storage.unnest import Row

_NUL_ESCAPED = "\\u0000"


def text(value: str | None) -> str | None:
    """The text without NUL."""
    return value.replace("\0", "\ufffd") if value and "\0" in value else value


def json_text(value: JsonValue | BaseModel | None) -> str | None:
    """JSON for a jsonb column, without NUL; None stays NULL."""
    if value is None:
        return None
    if isinstance(value, BaseModel):
        dumped = value.model_dump_json(exclude_none=True)
        if _NUL_ESCAPED not in dumped:
            return dumped
        value = from_json(dumped)
    try:
        dumped = orjson.dumps(value).decode()
    except TypeError:  # an integer beyond 64 bits: jsonb takes it, orjson does not
        dumped = _BigJson(value=value).model_dump_json(include={"value"})[len('{"value":') : -1]
    return json_text(_without_nul(from_json(dumped))) if _NUL_ESCAPED in dumped else dumped


class _BigJson(BaseModel):
    value: JsonValue


def _without_nul(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {str(text(key)): _without_nul(item) for key, item in value.items()}
    return value


def state_of(values: dict[str, object]) -> TaskState:
    """A TaskState from a row with the columns `storage.keeper.TASK_FOLD`; takes the dictionary over."""
    for name in ("redacted", "result"):
        values[name] = _loaded(values[name])
    error = _loaded(values["error"])
    values["error"] = None if error is None else TaskError.model_validate(error)
    routing = _loaded(values["routing"])
    values["routing"] = None if routing is None else Routing.model_validate(routing)
    values["required_capabilities"] = tuple(orjson.loads(str(values["required_capabilities"])))
    values["budget"] = Budget.model_validate_json(str(values["budget"]))
    named = values["depends_on"]
    values["depends_on"] = tuple(map(Dependency.model_validate, orjson.loads(str(named)))) if named else ()
    course = values["course"] = _course_of(values["course"])
    if course.linked is not None:
        values["depends_on"] = course.linked
    return TaskState(**values)  # type: ignore[arg-type]  # the column list and the dataclass are compared by a test


def spec_of(values: dict[str, object]) -> SpecState:
    """What was asked for, from its row."""
    return SpecState(values["id"], TaskSpec.model_validate_json(str(values["spec"])))  # type: ignore[arg-type]  # a UUID


def _course_of(value: object) -> Course:
    if value is None:
        return Course()
    kept = orjson.loads(str(value))
    for name in ("children", "dependants", "starters", "begun"):
        kept[name] = tuple(map(UUID, kept.get(name, ())))
    if "linked" in kept:
        kept["linked"] = tuple(map(Dependency.model_validate, kept["linked"]))
    return Course(**kept)


def _course_text(course: Course) -> str | None:
    """Only what is not as in every task; NULL if nothing is."""
    kept = {name: value for name, value in course._asdict().items() if value != Course._field_defaults[name]}
    return orjson.dumps(kept, default=_plain).decode() if kept else None


def _plain(value: object) -> object:
    if isinstance(value, UUID):  # the database driver's own class, which orjson does not know
        return str(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError


def _loaded(value: object) -> object:
    # Not orjson, which gives up on an integer that no double can hold.
    return None if value is None else from_json(value)  # type: ignore[arg-type]  # asyncpg hands jsonb over as text


def life_row(task: TaskState) -> Row:
    """What changes in a task's life, in the order of `storage.keeper.TASK_LIFE`."""
    return (
        task.status,
        task.version,
        task.attempt,
        text(task.reason),
        text(task.detail),
        task.agent_id,
        task.run_id,
        task.execution_id,
        task.heartbeat_at,
        task.due_at,
        json_text(task.redacted),  # type: ignore[arg-type]  # a dict of texts is a JSON value
        json_text(task.result),
        json_text(task.error),
        text(task.driving_id),
        task.updated_at,
        task.finished_at,
    )


def steered_row(task: TaskState) -> Row:
    """What changes in some tasks' lives too, in the order of `storage.parts.TASK_STEERED`."""
    return (task.deadline_at, _course_text(task.course), task.effects_done, *life_row(task))


def planned_row(task: TaskState) -> Row:
    """The same with what was asked for, in the order of `storage.parts.TASK_PLANNED`."""
    return (json_text(task.planned), *steered_row(task))


def task_row(task: TaskState) -> Row:
    """A whole new row, in the order of `storage.keeper.TASK_COLUMNS`."""
    birth = task.birth
    if birth is None:
        raise AssertionError("only a newborn task has a whole row")
    return (
        task.id,
        task.tenant,
        task.owner,
        task.session_id,
        task.kind,
        birth.spec.priority,
        json_text(birth.spec),
        json_text(list(task.required_capabilities)),
        json_text(task.routing),
        text(birth.idempotency_key),
        birth.body_sha256,
        text(birth.correlation_id),
        birth.traceparent,
        task.hopcount,
        task.deadline_at,
        task.created_at,
        task.parent_id,
        task.root_id,
        _course_text(task.course),
        task.effects_done,
        *life_row(task),
    )


def run_row(data: RunStarted | RunFinished, at: datetime) -> Row:
    """A run as it starts, or as it ends (the upsert keeps the start)."""
    if isinstance(data, RunStarted):
        ended: Row = ("running", at, None, None, None, None, None)
    else:
        usage = data.usage
        ended = (data.outcome, None, at, usage.tokens, usage.cost_usd, usage.ms, json_text(data.error))
    return (data.run_id, data.task_id, data.attempt, data.execution_id, data.agent_id, *ended)


def left_run_row(task: TaskState, status: Status, at: datetime) -> Row:
    """A run that its task left: timed out or failed with it, else cancelled; its own end may still say otherwise."""
    outcome = status if status in ("timed_out", "failed") else "cancelled"
    ended = (outcome, None, at, None, None, None, None)
    return (task.run_id, task.id, task.attempt, task.execution_id, task.agent_id, *ended)


def verdict_row(data: TaskChecked, at: datetime) -> Row:
    """The verdict on a task."""
    findings = "[" + ",".join(finding.model_dump_json() for finding in data.findings) + "]"
    return (
        data.task_id,
        data.decision,
        findings,
        text(data.reason),
        data.rules_version,
        data.engine,
        data.us,
        at,
    )


def tool_call_row(data: RunToolCalled, at: datetime) -> Row:
    """One use of a tool in a run."""
    return (
        data.execution_id,
        data.seq,
        data.run_id,
        data.task_id,
        text(data.tool),
        json_text(data.parameters),
        json_text(data.result),
        data.status,
        at,
    )


def log_row(epoch: str, delivery: Delivery, at: datetime, event: Event[EventData], outcome: str) -> Row:
    """One event as the log keeps it: its bytes as they came, or in structured mode if they came in binary mode."""
    body = delivery.body if is_structured(delivery.headers) else encode(event)
    return (
        epoch,
        delivery.seq,
        text(event.source),
        text(event.id),
        event.type,
        event.tenantid,
        event.ownerid,
        event.taskid,
        event.sessionid,
        at,
        outcome,
        body,
    )


def undecoded_row(epoch: str, delivery: Delivery, outcome: str) -> Row:
    """Bytes that are no event of ours: kept under a name made from their place, and a source that no event has."""
    name = f"{epoch}-{delivery.seq}"
    return (epoch, delivery.seq, "", name, "?", "?", "?", None, None, delivery.time, outcome, delivery.body)
