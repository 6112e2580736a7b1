"""Whatever is said of tasks that depend on one another: nobody waits for ever, and everybody heeds the others."""

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from events.task import FINAL, GOOD, TaskEntered, TaskError
from tests.unit.consumers.test_task import LEGAL
from tests.unit.consumers.test_task_course import Book
from tests.unit.consumers.test_task_links import FF, FS, LINKS, SF, SS

SIZE = 5
PLACE = st.integers(0, SIZE - 1)
LINK = st.tuples(PLACE, PLACE, st.sampled_from(LINKS), st.booleans())
OPS = (
    "add",
    "remove",
    "check",
    "start",
    "succeeded",
    "failed",
    "retryable",
    "lost",
    "pause",
    "resume",
    "cancel",
    "retry",
)
SAID = st.lists(st.tuples(st.sampled_from(OPS), LINK), max_size=40)
WITH_HOLD = st.lists(st.booleans(), min_size=SIZE, max_size=SIZE)
# A run that has ended and is held back; who is screened, or tried again, when another has ended badly already.
BESIDES = {"running": {"running"}, "submitted": {"skipped"}, "failed": {"skipped"}, "timed_out": {"skipped"}}


class Web:
    """Some tasks, those before each of which it depends on as drawn, and what is said of them."""

    def __init__(self, links: list[tuple[int, int, str, bool]], holds: list[bool]) -> None:
        self.book = Book()
        self.ids: list[UUID] = []
        for place in range(SIZE):
            on = [(other, link, required) for one, other, link, required in links if one == place and other < place]
            named = [{"task_id": self.ids[other], "type": link, "required": req} for other, link, req in on]
            self.ids.append(self.book.submit(depends_on=named, hold=holds[place]))

    def say(self, op: str, link: tuple[int, int, str, bool]) -> None:
        """One thing that somebody says, at the right time or not."""
        task, other, kind, required = self.ids[link[0]], self.ids[link[1]], link[2], link[3]
        status = self.book.status(task)
        if op in ("add", "remove"):
            named = {"task_id": other, "type": kind, "required": required}
            self.book.command(task, f"{op}_dependency", dependency=named)
        elif op in ("pause", "resume", "cancel", "retry"):
            self.book.command(task, op)
        elif op == "check":
            self.book.check(task)
        elif op == "start" and status != "ready":
            return  # nobody starts what is not there for it
        elif op == "start":
            self.book.start_ready(task)
        elif status in ("assigned", "running"):
            error = TaskError(code="agent_error", message="no", retryable=op == "retryable")
            self.book.finish(task, "failed" if op == "retryable" else op, error=error)

    def drive(self) -> None:
        """Everybody does what is theirs to do, as long as there is anything to do."""
        told = -1
        while told != len(self.book.announced):
            told = len(self.book.announced)
            for task in self.ids:
                self._help(task)

    def _help(self, task: UUID) -> None:
        found = self.book.task(task)
        if found.course.hold:
            self.book.command(task, "start")
        if found.status == "submitted":
            self.book.check(task)
        elif found.status == "ready":
            self.book.start_ready(task)
        elif found.status == "running":
            self.book.finish(task)
        elif found.status == "paused":
            self.book.command(task, "resume")
        elif found.reason == "retry" and found.status == "waiting":
            self.book.command(task, "retry", attempt=found.attempt)


@settings(max_examples=300)
@given(st.lists(LINK, max_size=10), WITH_HOLD, SAID)
def test_everything_ends_and_nothing_before_what_it_depends_on(
    links: list[tuple[int, int, str, bool]], holds: list[bool], said: list[tuple[str, tuple[int, int, str, bool]]]
) -> None:
    web = Web(links, holds)
    for op, link in said:
        web.say(op, link)
    web.drive()
    assert {web.book.status(task) for task in web.ids} <= FINAL
    keeps_to_the_machine(web)


def keeps_to_the_machine(web: Web) -> None:
    """Every step is in the table, in order, and every dependency that a task has in the end was heeded."""
    now, begun = dict.fromkeys(web.ids, "submitted"), set[UUID]()
    for event in web.book.announced:
        data = event.data
        if not isinstance(data, TaskEntered):
            continue
        task = data.task_id
        assert data.from_status == now[task]
        assert data.status in LEGAL[data.from_status] | BESIDES.get(data.from_status, set())
        for one in web.book.task(task).depends_on:
            had_begun = one.task_id in begun or (now[one.task_id] in FINAL and not one.required)
            had_ended = now[one.task_id] in (FINAL if not one.required else GOOD)
            if data.status == "ready" and one.type in (FS, SS) and data.reason != "retry":
                assert had_ended if one.type == FS else had_begun
            if data.status in GOOD and one.type in (FF, SF):
                assert had_ended if one.type == FF else had_begun
        now[task] = data.status
        if data.status == "running":
            begun.add(task)
