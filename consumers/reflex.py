"""Reflex: every text of a request is screened before any agent sees it. task.submitted -> task.checked."""

from collections.abc import Sequence
from time import perf_counter_ns

from consumers._runtime import Flow, Resources
from events.base import Event, EventData
from events.streams import REFLEX
from events.task import Finding, TaskChecked, TaskSubmitted
from events.texts import texts_of
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


def build(_: Resources) -> Flow:
    """The consumer with the default rules and policy."""
    return Flow(REFLEX, Reflex(Screener()).screen)
