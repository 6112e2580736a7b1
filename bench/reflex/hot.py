"""`python -m bench.reflex.hot [CORPORA]`: CPU microseconds of screening on the hot path, text by text, each read once.

The request and the result of `python -m bench --only e2e`, in the process that screened the request and in another, and
harmless texts of a few lengths.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar
from uuid import UUID

from bench.http import Requests
from consumers._guard import OutputGuard
from consumers.reflex.consumer import Reflex
from events.base import Event, EventData
from events.ids import new_id
from events.run import RunFinished
from events.task import TaskSpec, TaskSubmitted
from screening.cached import CachedScreener
from screening.outgoing import Outgoing
from screening.settings import ScreeningSettings

_TEXTS, _LENGTHS = 300, (100, 300, 1_000)
_NOTE = "Answered offline by extraction; no model was asked."

T = TypeVar("T")


def _submitted(requests: Requests) -> Event[EventData]:
    """What the gateway publishes for the benchmark's next request."""
    body = json.loads(requests.next().partition(b"\r\n\r\n")[2])
    task_id = new_id()
    spec = TaskSpec(prompt=body["goal"], acceptance_criteria=tuple(body["acceptance_criteria"]))
    data: EventData = TaskSubmitted(task_id=task_id, spec=spec)
    return Event.first(data, source="/gateway", tenant="dev", owner="ann", task_id=task_id, session_id=None)


def _finished(event: Event[EventData]) -> RunFinished:
    """What the offline agent makes of it."""
    assert isinstance(event.data, TaskSubmitted)  # noqa: S101 - made above
    said, criterion = event.data.spec.prompt, event.data.spec.acceptance_criteria[0]
    ids: dict[str, UUID] = {"run_id": new_id(), "task_id": event.data.task_id, "execution_id": new_id()}
    output = {
        "text": said,
        "sentences": [said],
        "keywords": [said[17:25], "accounts", "confirmed", "customer", "expects", "export", "invoice", "page"],
        "acceptance": [{"criterion": criterion, "met": True, "evidence": said}],
        "note": _NOTE,
    }
    return RunFinished(attempt=1, agent_id="extractive", outcome="succeeded", output=output, **ids)


async def _row(name: str, items: Iterable[T], work: Callable[[T], Awaitable[object]]) -> None:
    spent = []
    for item in items:
        before = time.process_time_ns()
        await work(item)
        spent.append((time.process_time_ns() - before) / 1_000)
    print(f"| {name} | {median(spent):.0f} |")


async def main() -> None:
    """Two rounds: the first one warms up."""
    screener = ScreeningSettings().screener()
    cached = CachedScreener(screener)
    reflex, guard = Reflex(cached), OutputGuard(Outgoing(screener))
    requests = Requests("localhost", 80, "token")
    for _ in range(2):
        events = [_submitted(requests) for _ in range(_TEXTS)]
        brought_back = partial(guard.fact, cause=events[0])
        await _row("request", events, reflex.screen)
        await _row("its result, here", [_finished(event) for event in events], brought_back)
        others = [_finished(_submitted(requests)) for _ in range(_TEXTS)]
        await _row("a result, elsewhere", others, brought_back)
        if len(sys.argv) > 1:
            rows = [json.loads(line) for line in (Path(sys.argv[1]) / "injection_dev.jsonl").read_bytes().splitlines()]
            texts = [str(row["text"]) for row in rows if not row["label"]]
            random.Random(1).shuffle(texts)
            whole = "\n\n".join(texts)
            for size in _LENGTHS:
                parts = [{"goal": whole[at * size : (at + 1) * size]} for at in range(_TEXTS)]
                await _row(f"{size} characters", parts, lambda part: cached.screen(part, kind="goal", tenant="dev"))


if __name__ == "__main__":
    asyncio.run(main())
