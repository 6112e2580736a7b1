"""What commands print for people: nothing in a text steers the terminal."""

import io
import json
from datetime import UTC, datetime

import pytest
from rich.console import Console

from cli.output import Format, Output
from cli.telling import entry, step
from producers.sdk import Happening

HOSTILE = "done \x1b]0;owned\x07\x1b[2J\x9b31m\x7f"
SHOWN = r"done \x1b]0;owned\x07\x1b[2J\x9b31m\x7f"


@pytest.fixture
def printed() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def output(printed: io.StringIO) -> Output:
    plain = Console(file=printed, highlight=False, soft_wrap=True)
    return Output(console=plain, remarks=plain)


def test_control_characters_of_a_text_are_shown_and_not_obeyed(output: Output, printed: io.StringIO) -> None:
    output.line(HOSTILE)
    output.remark(HOSTILE)
    output.table(("id", "result"), [("1", HOSTILE)])
    assert printed.getvalue().count(SHOWN) == 3
    assert not any(character in printed.getvalue() for character in "\x1b\x07\x9b\x7f")


def test_the_detail_of_an_event_is_shown_and_not_obeyed() -> None:
    now = datetime.now(UTC)
    told = Happening(cursor="a-1", event="task.cancelled", time=now, subject="t-1", data={"reason": HOSTILE})
    for line in (entry(told), step(told, now)):
        assert line.plain.endswith(SHOWN)


def test_lines_and_tabs_stay(output: Output, printed: io.StringIO) -> None:
    output.line("one\n\ttwo")
    assert printed.getvalue().split() == ["one", "two"]
    assert printed.getvalue().count("\n") == 2


def test_json_stays_json_where_the_encoding_lacks_letters() -> None:
    written = io.BytesIO()
    ascii_only = Console(file=io.TextIOWrapper(written, encoding="ascii", write_through=True), soft_wrap=True)
    Output(format=Format.JSON, console=ascii_only).document({"text": "\u00e4 \u65e5"})
    assert json.loads(written.getvalue()) == {"text": "\u00e4 \u65e5"}
