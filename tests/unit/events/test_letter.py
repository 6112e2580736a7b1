"""A dead letter can be posted, whatever it is about."""

import pytest

from events.cursor import Cursor
from events.letter import DeadLetter, describe


def about(subject: str = "bus.t.task.submitted.0", headers: dict[str, str] | None = None) -> DeadLetter:
    return describe(
        consumer="keeper",
        reason="invalid_event",
        deliveries=1,
        cursor=Cursor("e", 1),
        subject=subject,
        body=b"\xff" * 1_000_000,
        headers=headers,
        event=None,
    )


@pytest.mark.parametrize(
    ("subject", "posted_on"),
    [
        ("bus.t.task.tool_called.0", "dlq.keeper.task.tool_called"),
        ("bus.t", "dlq.keeper.unknown.unknown"),
        ("bus.t.x\v1.\ufffd.0", "dlq.keeper.unknown.unknown"),
        ("bus.t.*.>.0", "dlq.keeper.unknown.unknown"),
        (f"bus.t.{'x' * 4_000}.submitted.0", "dlq.keeper.unknown.submitted"),
        ("bus.t.task.\n.0", "dlq.keeper.task.unknown"),
    ],
)
def test_its_subject_is_one_that_every_client_takes(subject: str, posted_on: str) -> None:
    letter = about(subject)
    assert letter.letter_subject == posted_on
    assert letter.subject == subject


def test_headers_without_end_do_not_make_it_larger_than_the_bus_takes() -> None:
    many = {f"ce-{number}{'x' * (number % 200)}": "\0" * 2_000 for number in range(1_000)}
    letter = about(headers={"content-type": "application/json", **many})
    assert letter.headers is not None
    assert letter.headers["content-type"] == "application/json"
    assert len(letter.model_dump_json()) < 900_000
