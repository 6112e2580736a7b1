"""Reflex: every text of a request is screened before any agent sees it. task.submitted -> task.checked."""

from collections.abc import Sequence
from time import perf_counter_ns

from pydantic import JsonValue

from consumers._runtime import Flow, Resources
from events.base import Event, EventData
from events.streams import REFLEX
from events.task import Finding, TaskChecked, TaskSpec, TaskSubmitted
from screening import Screener


class Reflex:
    """Screens submitted tasks."""

    def __init__(self, screener: Screener) -> None:
        self._screener = screener

    async def screen(self, event: Event[EventData]) -> Sequence[EventData]:
        """The verdict on a submitted task; findings name place and kind, never the text."""
        data = event.data
        if not isinstance(data, TaskSubmitted):
            return ()
        began = perf_counter_ns()
        verdict = self._screener.screen(texts_of(data.spec), kind=data.spec.kind, tenant=event.tenantid)
        return [
            TaskChecked(
                task_id=data.task_id,
                decision=verdict.decision,
                findings=tuple(
                    Finding(
                        family=found.family,
                        type=found.type,
                        severity=found.severity,
                        field=found.field,
                        start=found.start,
                        end=found.end,
                        confidence=found.confidence,
                    )
                    for found in verdict.findings
                ),
                redacted=verdict.redacted,
                reason=verdict.reason,
                rules_version=verdict.rules_version,
                engine=verdict.engine,
                us=(perf_counter_ns() - began) // 1_000,
            )
        ]


def texts_of(spec: TaskSpec) -> dict[str, str]:
    """Every text a user wrote, by its place in the request (JSON pointer without the first slash)."""
    texts = {"goal": spec.prompt}
    if spec.context.text:
        texts["context"] = spec.context.text
    nested: dict[str, JsonValue] = {
        "context/refs": [*spec.context.refs],
        "context/data": spec.context.data,
        "constraints": spec.constraints,
        "acceptance_criteria": [*spec.acceptance_criteria],
        "metadata": spec.metadata,
    }
    for place, value in nested.items():
        _collect(value, place, texts)
    return texts


def _collect(value: JsonValue, place: str, texts: dict[str, str]) -> None:
    if isinstance(value, str):
        texts[place] = value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _collect(item, f"{place}/{index}", texts)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key:
                texts[f"{place}/{key}#key"] = key
            _collect(item, f"{place}/{key}", texts)


def build(_: Resources) -> Flow:
    """The consumer with the default rules and policy."""
    return Flow(REFLEX, Reflex(Screener()).screen)
