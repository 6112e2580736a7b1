"""What agents say, put together from its pieces."""

from uuid import UUID, uuid4

from events.base import Event
from events.codec import encode
from events.ids import run_id
from events.run import RunDelta
from events.streams import TOK
from gateway.live.rooms import Room
from gateway.live.speech import Saying, Speech

TASK = uuid4()


def piece(execution: UUID, offset: int, text: str) -> bytes:
    delta = RunDelta(
        run_id=run_id(TASK, 1),
        task_id=TASK,
        attempt=1,
        execution_id=execution,
        agent_id="a",
        seq=offset + 1,
        offset=offset,
        text=text,
    )
    return encode(Event.first(delta, source="/test", tenant="t", owner="o", task_id=TASK))


def said(speech: Speech) -> list[tuple[int, str]]:
    """What who comes now is told."""
    return [saying.since(0) for _, saying in speech.in_rooms(Room("task", "t", "o", str(TASK)).keys)]


def test_who_comes_late_hears_it_from_the_start() -> None:
    speech, heard = Speech(), list[Saying]()
    speech.on_words = lambda _, saying: heard.append(saying)
    execution = uuid4()
    for offset, text in ((0, "One "), (4, "two "), (4, "two "), (8, "three.")):
        speech.take(piece(execution, offset, text))
    assert said(speech) == [(0, "One two three.")]
    assert len(heard) == 3, "what comes twice is said once"


def test_what_is_kept_without_its_beginning_is_not_told_and_what_goes_on_is() -> None:
    """The bus keeps pieces for ten minutes: to a gateway that starts then, the oldest are the rest of something."""
    speech = Speech()
    rest, whole = uuid4(), uuid4()
    for body in (piece(rest, 90, "rest"), piece(whole, 0, "All "), piece(whole, 4, "of it.")):
        speech.take(body, kept=True)
    assert said(speech) == [(0, "All of it.")]
    speech.take(piece(rest, 94, " and more"))
    assert said(speech) == [(0, "All of it."), (94, " and more")]


def test_what_the_bus_has_forgotten_is_told_to_nobody_who_comes_later() -> None:
    """Of a run that ended before this process began nobody says that it ended: its words must not stay for that."""
    now = 0.0
    speech = Speech(clock=lambda: now)
    old, young = uuid4(), uuid4()
    speech.take(piece(old, 0, "Old."), kept=True)
    now = TOK.max_age - 1
    speech.take(piece(young, 0, "Young."))
    assert said(speech) == [(0, "Old."), (0, "Young.")]
    now = TOK.max_age + 1
    assert said(speech) == [(0, "Young.")]
    speech.take(piece(young, 6, " Still."))
    now += TOK.max_age - 1
    assert said(speech) == [(0, "Young. Still.")]
