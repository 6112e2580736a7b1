"""Realistic requests through the public API, and a look at what became of each."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from uuid import UUID

from cli.client import Document, Gateway
from cli.demo.sample import Sample, load
from cli.demo.stage import Ending, Stage
from cli.output import Output
from cli.place import Place
from cli.stream import Happening, Subscription
from cli.summary import first_line, outcome, status_of
from cli.telling import entry, task_of
from events import FINAL

_COLUMNS = ("id", "status", "agent", "ms", "first line of the result")


@dataclass
class Course:
    """How one sample fared: its id, when it was posted, and when its end was seen (`perf_counter`)."""

    sample: Sample
    task_id: str
    posted: float
    ended: float | None = None
    task: Document = field(default_factory=dict)

    @property
    def milliseconds(self) -> float | None:
        """From POST to the event that told its end."""
        return None if self.ended is None else (self.ended - self.posted) * 1e3

    def fault(self) -> str | None:
        """What is wrong with it, None if all is well."""
        if self.ended is None:
            return f"{self.sample.name}: no end was seen on the socket (status {status_of(self.task)})"
        if status_of(self.task) != self.sample.expect:
            why = first_line(outcome(self.task))
            return f"{self.sample.name}: expected {self.sample.expect}, got {status_of(self.task)} {why}"
        if self.sample.expect == "succeeded" and not outcome(self.task):
            return f"{self.sample.name}: succeeded without a result"
        return None


async def samples(stage: Stage) -> Ending:
    """Submit every sample, show what happens live and a table at the end."""
    chosen = load()
    courses = await walk(stage.place, chosen, stage.output, stage.within)
    faults = [fault for course in courses if (fault := course.fault())]
    show(stage.output, courses)
    return Ending(len(chosen), tuple(faults))


async def walk(where: Place, samples: Sequence[Sample], output: Output, within: float) -> list[Course]:
    """Submit every sample, show what happens, and return how each fared once all have ended or time is up."""
    subscription = Subscription(where, "tasks", say=output.remark)
    ends: dict[str, float] = {}
    ended = asyncio.Condition()
    listening = asyncio.create_task(_listen(subscription, ends, ended, output))
    try:
        async with Gateway(where) as gateway:
            await _subscribed(subscription, listening)
            courses = await asyncio.gather(*(_post(gateway, sample) for sample in samples))
            await _all_ended({course.task_id for course in courses}, ends, ended, within)
            for course in courses:
                course.ended = ends.get(course.task_id)
                course.task = await gateway.task(UUID(course.task_id))
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return list(courses)


def show(output: Output, courses: Sequence[Course]) -> None:
    """The table at the end, in the order of the samples."""
    if output.is_json:
        output.document([_record(course) for course in courses])
        return
    output.line("")
    output.table(_COLUMNS, [_row(course) for course in courses])


async def _listen(subscription: Subscription, ends: dict[str, float], ended: asyncio.Condition, output: Output) -> None:
    async for told in subscription.follow():
        if not isinstance(told, Happening):
            continue
        (output.remarks if output.is_json else output.console).print(entry(told))
        aggregate, _, name = told.event.partition(".")
        if aggregate == "task" and name in FINAL:
            async with ended:
                ends[task_of(told)] = perf_counter()
                ended.notify_all()


async def _subscribed(subscription: Subscription, listening: asyncio.Task[None]) -> None:
    """Wait for the confirmation, or for the reason why there is none."""
    ready = asyncio.create_task(subscription.ready.wait())
    async with asyncio.timeout(10):
        await asyncio.wait({ready, listening}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    if listening.done():
        await listening


async def _post(gateway: Gateway, sample: Sample) -> Course:
    posted = perf_counter()
    answer = await gateway.submit(sample.request())
    return Course(sample, str(answer["task_id"]), posted)


async def _all_ended(task_ids: set[str], ends: dict[str, float], ended: asyncio.Condition, within: float) -> None:
    try:
        async with asyncio.timeout(within), ended:
            await ended.wait_for(lambda: task_ids <= ends.keys())
    except TimeoutError:
        return


def _row(course: Course) -> tuple[str, ...]:
    took = "" if course.milliseconds is None else f"{course.milliseconds:.0f}"
    agent = str(course.task.get("agent_id") or "")
    return (course.task_id, status_of(course.task), agent, took, first_line(outcome(course.task)))


def _record(course: Course) -> Document:
    return {
        "sample": course.sample.name,
        "task_id": course.task_id,
        "status": status_of(course.task),
        "expected": course.sample.expect,
        "agent": course.task.get("agent_id"),
        "ms": course.milliseconds,
        "first_line": first_line(outcome(course.task)),
    }
