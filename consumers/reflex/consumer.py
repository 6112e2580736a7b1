"""Screens submitted tasks: one function from a request to its verdict, or to why there is none yet."""

from collections.abc import AsyncIterator, Sequence
from time import perf_counter_ns

from prometheus_client import Counter, Histogram

from consumers.reflex.engine import Engine, NoVerdictError
from events.base import Event, EventData
from events.task import TaskChecked, TaskSubmitted, TaskUnchecked
from events.texts import texts_in, texts_of
from screening import Verdict
from screening.outgoing import notes, sealed
from screening.sealing import Sealer

_RETRY_AFTER, _LONGEST = 5.0, 600.0

_VERDICTS = Counter("ganglion_reflex_verdicts_total", "Verdicts, by decision and engine.", ["decision", "engine"])
_FINDINGS = Counter(
    "ganglion_reflex_findings_total", "Findings, by family, type and severity.", ["family", "type", "severity"]
)
_CALLS = Counter(
    "orchestrator_reflex_calls_total",
    "Requests for a verdict, by how they ended, in the words of the reflex service.",
    ["status"],
)
_UNCHECKED = Counter("ganglion_reflex_unchecked_total", "Requests that had to wait for a verdict.")
_SECONDS = Histogram(
    "ganglion_reflex_seconds",
    "Time that a verdict took.",
    buckets=(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0, 20.0),
)


class Reflex:
    """Screens submitted tasks; without a sealer, what placeholders stand for is lost."""

    def __init__(self, engine: Engine, sealer: Sealer | None = None) -> None:
        self._engine = engine
        self._sealer = sealer

    async def screen(self, event: Event[EventData]) -> Sequence[EventData]:
        """The verdict on a submitted task; findings name place and kind, never the text."""
        data = event.data
        if not isinstance(data, TaskSubmitted):
            return ()
        began = perf_counter_ns()
        try:
            verdict = await self._engine.screen(texts_of_request(data), kind=data.spec.kind, tenant=event.tenantid)
        except NoVerdictError as error:
            _UNCHECKED.inc()
            _CALLS.labels("error").inc()
            wait = min(_LONGEST, max(1.0, error.retry_after or _RETRY_AFTER))
            return [TaskUnchecked(task_id=data.task_id, reason=error.code, retry_after=wait)]
        took = perf_counter_ns() - began
        _count(verdict, took)
        session = event.sessionid or str(data.task_id)
        kept = sealed(verdict.placeholders, self._sealer, tenant=event.tenantid, session=session)
        return [
            TaskChecked(
                task_id=data.task_id,
                decision=verdict.decision,
                findings=notes(verdict.findings),
                redacted=verdict.redacted,
                sealed=kept,
                reason=verdict.reason,
                would=verdict.would,
                injection_score=verdict.injection_score,
                truncated=verdict.truncated or None,
                rules_version=verdict.rules_version,
                engine=verdict.engine,
                us=took // 1_000,
            )
        ]

    async def screen_slowly(self, event: Event[EventData]) -> AsyncIterator[EventData]:
        """The same for slots mode, where a verdict takes its time."""
        for output in await self.screen(event):
            yield output


def texts_of_request(data: TaskSubmitted) -> dict[str, str]:
    """Every text that a user wrote: of the task, and of the session that it opens."""
    texts = texts_of(data.spec)
    if data.session is not None:
        said = data.session.model_dump(
            mode="json", include={"title", "tags", "metadata", "agent_config", "session_type"}
        )
        texts.update(
            (place, text)
            for place, text in texts_in(said, "session")
            if not place.endswith("#key") or place.count("/") > 1
        )
    return texts


def _count(verdict: Verdict, took: int) -> None:
    _VERDICTS.labels(verdict.decision, verdict.engine).inc()
    _CALLS.labels("blocked" if verdict.decision == "block" else "success").inc()
    _SECONDS.observe(took / 1e9)
    for found in verdict.findings:
        _FINDINGS.labels(found.family, found.type if found.rule != "remote" else "remote", found.severity).inc()
