"""The comparison bites: what was missed, doubled, moved or invented is a fault, and what lies in a gap is none."""

import pytest

from tests.soak.checker import fault_of
from tests.soak.record import Record

LOG = [
    (f"e-{seq}", f"task.{name}") for seq, name in enumerate(("submitted", "checked", "ready", "running", "succeeded"))
]


def record(*pieces: list[tuple[str, str]], room: str = "tasks") -> Record:
    return Record("alice", room, pieces=list(pieces))


def test_the_whole_log_is_no_fault() -> None:
    assert fault_of(record(LOG), LOG) is None


@pytest.mark.parametrize(
    "seen",
    [
        LOG[:2] + LOG[3:],
        LOG[1:],
        LOG[:-1],
        LOG[:3] + LOG[2:],
        [LOG[0], LOG[2], LOG[1], *LOG[3:]],
        [*LOG, ("e-9", "task.failed")],
        [*LOG[:4], ("e-4", "task.failed")],
    ],
    ids=["missed", "first missed", "last missed", "doubled", "moved", "invented", "changed"],
)
def test_anything_else_is(seen: list[tuple[str, str]]) -> None:
    assert fault_of(record(seen), LOG) is not None


def test_what_lies_in_a_gap_may_be_missing_and_nothing_else() -> None:
    assert fault_of(record(LOG[:1], LOG[3:]), LOG) is None
    assert fault_of(record(LOG[:1], []), LOG) is None
    assert fault_of(record(LOG[:3], LOG[2:]), LOG) is not None
    assert fault_of(record(LOG[:1], LOG[2:4]), LOG) is not None


def test_after_the_end_of_a_task_nothing_more_is_expected() -> None:
    ended = record(LOG[:4], room="task:x")
    ended.ended = True
    assert fault_of(ended, LOG) is None


def test_speech_that_does_not_fit_is_noticed() -> None:
    heard = record()
    for offset, text in ((0, "one "), (4, "two"), (9, "four"), (9, "four")):
        heard.take({"type": "delta", "data": {"execution_id": "x", "offset": offset, "text": text}})
    assert (heard.pieces_heard, heard.torn_speech) == (4, 2)
