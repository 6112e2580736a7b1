"""The producer's own part: what it tries again, what it keeps for later, and where it goes on reading."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from uuid import uuid4

import pytest

from events.base import JsonObject
from producers.sdk import (
    BufferFullError,
    EventProducer,
    Happening,
    ProducerError,
    Receipt,
    RefusedError,
    Told,
    UnavailableError,
    UndeliveredError,
    producer,
    watch,
)
from producers.sdk.errors import TryAgainError, judged
from producers.sdk.frames import Delta, Ended, Frame, Subscribed, read_frame
from producers.sdk.pauses import Pauses
from producers.sdk.transport import text_of

TASK = uuid4()


class Line:
    """A way to Ganglion that does what a test says, in turn; then it works."""

    def __init__(self) -> None:
        self.sent: list[JsonObject] = []
        self.failures: list[Exception] = []
        self.rooms: list[tuple[str, str | None]] = []
        self.parts: list[list[Frame | Exception]] = []
        self.away = False
        self.hangs = False
        self.is_open = False

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def send(self, event: JsonObject, within: float) -> Receipt:  # noqa: ARG002 - the protocol's
        self.sent.append(event)
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise TryAgainError("away")
        if self.failures:
            raise self.failures.pop(0)
        return Receipt(event_id="e", type=str(event["type"]), durability="log+database", task_id=TASK)

    async def frames(self, room: str, after: str | None) -> AsyncGenerator[Frame]:
        self.rooms.append((room, after))
        self.is_open = True
        try:
            for item in self.parts.pop(0):
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.is_open = False


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    made = Line()
    monkeypatch.setattr(producer, "transport_to", lambda *_: made)
    return made


def happening(name: str, place: int) -> Happening:
    return Happening.model_validate(
        {"cursor": f"e-{place}", "event": f"task.{name}", "time": "2026-01-01T00:00:00Z", "subject": str(TASK)}
    )


async def told_by(watch: object) -> list[Told]:
    return [told async for told in watch]  # type: ignore[attr-defined]  # it is a Watch


async def test_the_same_event_is_tried_again_until_it_is_kept(line: Line) -> None:
    line.failures = [TryAgainError("503"), TryAgainError("cut", 0.01)]
    async with EventProducer("http://x", "t") as outside:
        task = await outside.submit("Do it.", priority="high")
    assert task.id == TASK
    assert len(line.sent) == 3
    assert line.sent[0] == line.sent[1] == line.sent[2]
    assert line.sent[0]["data"] == {"spec": {"prompt": "Do it.", "priority": "high"}}


async def test_what_is_refused_is_not_tried_again(line: Line) -> None:
    line.failures = [RefusedError(422, {"code": "invalid_request"})]
    async with EventProducer("http://x", "t") as outside:
        with pytest.raises(RefusedError, match="invalid_request"):
            await outside.publish("task.submitted", {})
    assert len(line.sent) == 1


async def test_it_gives_up_after_the_time_it_was_given(line: Line) -> None:
    line.away = True
    async with EventProducer("http://x", "t") as outside:
        with pytest.raises(UnavailableError, match="away"):
            await outside.publish("task.submitted", {}, within=0.3)
    assert len(line.sent) > 1


async def test_it_gives_up_in_time_though_a_way_takes_longer_than_it_may(line: Line) -> None:
    line.hangs = True
    async with EventProducer("http://x", "t") as outside:
        async with asyncio.timeout(5):
            with pytest.raises(UnavailableError, match=r"0\.2 s"):
                await outside.submit("x", within=0.2)
        line.hangs = False
        assert (await outside.submit("x", within=5)).id == TASK


async def test_what_is_sent_while_nobody_is_there_arrives_later_in_order(line: Line) -> None:
    line.away = True
    async with EventProducer("http://x", "t") as outside:
        ids = [outside.send("task.control", {"n": n}) for n in range(5)]
        await asyncio.sleep(0.05)
        assert outside.buffered == 5
        line.away, line.sent = False, []
        await outside.flush(5)
        assert outside.buffered == 0
    assert [event["id"] for event in line.sent] == ids


async def test_the_buffer_is_bounded_in_number_and_in_bytes(line: Line) -> None:
    line.away = True
    bounded = EventProducer("http://x", "t", max_buffered=2, max_buffered_bytes=4_000, linger=0.05)
    await bounded.__aenter__()
    bounded.send("task.control", {"text": "a" * 3_000})
    with pytest.raises(BufferFullError, match="3"):
        bounded.send("task.control", {"text": "b" * 3_000})
    bounded.send("task.control", {})
    with pytest.raises(BufferFullError):
        bounded.send("task.control", {})
    with pytest.raises(UndeliveredError) as left:
        await bounded.__aexit__(None, None, None)
    assert [event["data"] for event in left.value.events] == [{"text": "a" * 3_000}, {}]


async def test_one_refused_event_does_not_hold_up_the_others(line: Line) -> None:
    told: list[tuple[object, str]] = []
    line.failures = [RefusedError(403, {"code": "missing_scope"})]
    async with EventProducer(
        "http://x", "t", on_refused=lambda event, error: told.append((event["id"], error.code))
    ) as p:
        first, _ = p.send("task.control", {}), p.send("task.control", {})
        await p.flush(5)
    assert told == [(first, "missing_scope")]
    assert len(line.sent) == 2


async def test_a_callback_that_fails_does_not_hold_up_the_others(line: Line) -> None:
    def fail(_: JsonObject, error: RefusedError) -> None:
        raise ValueError(error.code)

    line.failures = [RefusedError(403, {"code": "missing_scope"})]
    async with EventProducer("http://x", "t", on_refused=fail) as outside:
        outside.send("task.control", {})
        outside.send("task.control", {})
        await outside.flush(5)
    assert len(line.sent) == 2


def test_a_token_that_cannot_be_had_for_now_is_asked_for_again() -> None:
    def away() -> str:
        raise OSError("no route to the issuer")

    with pytest.raises(TryAgainError, match=r"no token: OSError"):
        text_of(away)
    assert text_of(lambda: "fresh") == "fresh"


def test_a_token_from_a_file_is_taken_without_its_lines_end() -> None:
    """HTTP cannot send it: it would be tried again and again, as if nobody were there."""
    assert (text_of("t\n"), text_of(lambda: "t\r\n")) == ("t", "t")


async def test_a_watch_goes_on_after_the_last_event_it_saw(line: Line) -> None:
    line.parts = [
        [Subscribed("e-1"), happening("ready", 2), TryAgainError("cut", 0.0)],
        [TryAgainError("cut", 0.0)],
        [Subscribed("e-2"), happening("running", 3), happening("succeeded", 4), Ended()],
    ]
    async with EventProducer("http://x", "t") as outside:
        watch = outside.watch(TASK)
        seen = [told.event for told in await told_by(watch) if isinstance(told, Happening)]
    assert seen == ["task.ready", "task.running", "task.succeeded"]
    assert line.rooms == [(f"task:{TASK}", after) for after in ("0", "e-2", "e-2")]
    assert watch.cursor == "e-4"


async def test_who_leaves_a_watch_has_closed_its_line(line: Line) -> None:
    line.parts = [[Subscribed("e-1"), happening("ready", 2), happening("running", 3)]]
    async with EventProducer("http://x", "t") as outside, aclosing(aiter(outside.watch(TASK))) as told:
        await anext(told)
        assert line.is_open
        await told.aclose()
        assert not line.is_open  # and not whenever the collector comes: a loop that ends meanwhile complains


async def test_a_room_is_watched_from_where_the_gateway_began(line: Line) -> None:
    line.parts = [[Subscribed("e-7"), TryAgainError("cut", 0.0)], [Ended()]]
    async with EventProducer("http://x", "t") as outside:
        assert await told_by(outside.watch("tasks")) == []
    assert line.rooms == [("tasks", None), ("tasks", "e-7")]


async def test_what_an_agent_says_is_told_once_though_it_is_said_again_after_a_cut(line: Line) -> None:
    def said(offset: int, text: str) -> Delta:
        return Delta("run", offset, text)

    parts: list[list[Frame | Exception]] = [
        [said(0, "one "), said(4, "two "), TryAgainError("cut", 0.0)],
        [said(0, "one two three "), said(8, "three "), said(14, "four"), Ended()],
    ]
    line.parts = parts.copy()
    async with EventProducer("http://x", "t") as outside:
        seen = await told_by(outside.watch(TASK, deltas=True))
        line.parts = [[said(0, "one "), Ended()]]
        assert await told_by(outside.watch(TASK)) == []
    assert [told.text for told in seen if isinstance(told, Delta)] == ["one ", "two ", "three ", "four"]


async def test_an_agent_that_begins_anew_is_heard_from_its_first_word(line: Line) -> None:
    def said(offset: int, text: str, execution_id: str) -> Delta:
        frame: JsonObject = {"offset": offset, "text": text, "execution_id": execution_id}
        read = read_frame({"type": "delta", "subject": "run", "data": frame})
        assert isinstance(read, Delta)
        return read

    line.parts = [[said(0, "The export ", "a"), said(0, "It is ", "b"), said(6, "the import.", "b"), Ended()]]
    async with EventProducer("http://x", "t") as outside:
        seen = await told_by(outside.watch(TASK, deltas=True))
    told = [(one.execution_id, one.offset, one.text) for one in seen if isinstance(one, Delta)]
    assert told == [("a", 0, "The export "), ("b", 0, "It is "), ("b", 6, "the import.")]


async def test_a_finished_task_gives_its_last_event(line: Line) -> None:
    line.parts = [[happening("running", 1), happening("succeeded", 2), Ended()], [Ended()]]
    async with EventProducer("http://x", "t") as outside:
        assert await outside.finished(TASK) == happening("succeeded", 2)
        with pytest.raises(ProducerError):
            await outside.finished(TASK)


@pytest.mark.parametrize(
    ("make", "again"),
    [
        (lambda: judged(503, {"code": "overloaded", "retryable": True}, "2"), True),
        (lambda: judged(429, {}, None), True),
        (lambda: judged(502, {"code": "no_json"}, None), True),
        (lambda: judged(409, {"code": "task_final"}, None), False),
        (lambda: judged(500, {"code": "internal_error", "retryable": False}, None), False),
    ],
)
def test_an_answer_says_whether_to_try_again(make: Callable[[], Exception], again: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert isinstance(make(), TryAgainError) is again


def test_pauses_grow_to_five_seconds_and_begin_anew() -> None:
    pauses = Pauses()
    seen = [pauses.next() for _ in range(20)]
    assert seen[0] <= 0.1
    assert max(seen) <= 5.0
    assert min(seen[10:]) >= 1.25
    assert pauses.next(7.0) == 7.0
    pauses.reset()
    assert pauses.next() <= 0.1


def test_frames_that_keep_the_line_alive_say_nothing() -> None:
    assert read_frame({"type": "hello", "protocol": 1}) is None
    assert read_frame({"type": "gap", "from": "0"}) is None
    assert isinstance(read_frame({"type": "end"}), Ended)


def test_an_error_frame_is_a_refusal_with_the_status_that_http_gives_it() -> None:
    for code, status in (("not_found", 404), ("missing_scope", 403), ("invalid_cursor", 422)):
        with pytest.raises(RefusedError) as caught:
            read_frame({"type": "error", "code": code, "retryable": False})
        assert (caught.value.code, caught.value.status) == (code, status)


async def test_an_error_that_may_pass_does_not_end_a_watch(line: Line) -> None:
    with pytest.raises(TryAgainError) as away:  # what a gateway says whose bus is away
        read_frame({"type": "error", "code": "bus_unavailable", "detail": "NATS is away.", "retryable": True})
    line.parts = [[Subscribed("e-1"), away.value], [Subscribed("e-1"), happening("succeeded", 2), Ended()]]
    async with EventProducer("http://x", "t") as outside:
        seen = [told.event for told in await told_by(outside.watch(TASK)) if isinstance(told, Happening)]
    assert seen == ["task.succeeded"]


@pytest.mark.parametrize("url", ["", "ftp://x", "localhost:8080"])
def test_a_url_names_a_way(url: str) -> None:
    with pytest.raises(ProducerError):
        EventProducer(url, "t")


async def test_who_watches_for_long_remembers_only_what_was_said_lately(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_MAX_SAID", 2)

    def said(execution: str, offset: int, text: str) -> Delta:
        return Delta("run", offset, text, execution)

    first = [said("a", 0, "one "), said("b", 0, "one "), said("a", 4, "two "), said("c", 0, "one ")]
    line.parts = [[*first, TryAgainError("cut", 0.0)], [said("a", 0, "one two "), said("c", 0, "one "), Ended()]]
    async with EventProducer("http://x", "t") as outside:
        watching = outside.watch("tasks", deltas=True)
        seen = await told_by(watching)
    assert seen == first
    assert len(watching._said) == 2
