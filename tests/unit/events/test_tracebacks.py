"""No log quotes an exception that we did not foresee: what it says may be what a user wrote."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import pytest
import structlog

from events.errors import StoreUnavailableError
from tests.support.logs import logged

CANARY = "canary-7f3a"
log = structlog.get_logger()


class PickyError(Exception):
    """One that cannot be made of a text."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{CANARY} {one} {two}")


def plain() -> None:
    raise ValueError(CANARY)


def noted() -> None:
    error = PickyError(1, 2)
    error.add_note(CANARY)
    raise error


def caused() -> None:
    try:
        plain()
    except ValueError as error:
        raise StoreUnavailableError from error


def in_passing() -> None:
    try:
        plain()
    finally:
        raise StoreUnavailableError


def grouped() -> None:
    found = []
    for one in (plain, caused):
        try:
            one()
        except Exception as error:  # noqa: BLE001 - to be raised together
            found.append(error)
    raise ExceptionGroup(CANARY, [*found, ExceptionGroup(CANARY, found)])


def in_a_ring() -> None:
    one, two = ValueError(CANARY), KeyError(CANARY)
    one.__context__, two.__context__ = two, one
    raise one


def in_a_long_chain() -> None:
    links = [ValueError(CANARY) for _ in range(2_000)]
    for later, earlier in pairwise(links):
        later.__cause__ = earlier
    raise links[0]


def of_python() -> None:
    compile(f"{CANARY} =", CANARY, "exec")


def in_a_file() -> None:
    raise OSError(2, "No such file or directory", CANARY)


def in_words_only() -> None:
    raise OSError(CANARY)


FAILING = [plain, noted, caused, in_passing, grouped, in_a_ring, in_a_long_chain, of_python, in_a_file, in_words_only]


@pytest.mark.parametrize("person", [False, True])
@pytest.mark.parametrize("failing", FAILING)
def test_neither_renderer_says_what_an_unforeseen_exception_says(failing: Callable[[], None], *, person: bool) -> None:
    with logged(person=person) as screen:
        try:
            failing()
        except Exception as error:
            log.exception("as_in_an_except_clause")
            log.exception("as_of_a_task", exc_info=error)
            log.exception("as_a_tuple", exc_info=(type(error), error, error.__traceback__))
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
            logging.getLogger("pool").warning("error connecting in %r: %s", "pool-1", error)
            kind = type(error).__name__
    told = screen.getvalue()
    assert CANARY not in told
    assert told.count(kind if person else f'"exc_type": "{kind}"') >= 3
    assert failing.__name__ in told
    assert "test_tracebacks.py" in told


def test_a_line_of_json_names_class_file_line_and_function() -> None:
    with logged() as screen, suppress(ValueError):
        try:
            plain()
        except ValueError:
            log.exception("agent_failed", task="t")
            raise
    line = json.loads(screen.getvalue())
    (told,) = line.pop("exception")
    assert (told["exc_type"], told["exc_value"], told["exc_notes"]) == ("ValueError", "", [])
    assert [frame["name"] for frame in told["frames"]][-1] == "plain"
    assert told["frames"][-1]["filename"] == __file__
    assert told["frames"][-1]["lineno"] > 0
    assert (line["event"], line["task"]) == ("agent_failed", "t")


@pytest.mark.parametrize("person", [False, True])
def test_our_own_words_and_the_systems_are_kept(*, person: bool) -> None:
    with logged(person=person) as screen:
        for error in (StoreUnavailableError("The pool is empty."), ConnectionRefusedError(111, "Connection refused")):
            log.error("failed", exc_info=error)
    assert "The pool is empty." in screen.getvalue()
    assert "[Errno 111] Connection refused" in screen.getvalue()


def test_an_author_reads_what_their_own_function_said() -> None:
    with logged(of_an_author=True) as screen:
        log.error("handler_failed", exc_info=ValueError("no such customer"))
        logging.getLogger("x").error("y", exc_info=ValueError("no such order"))
    assert "no such customer" in screen.getvalue()
    assert "no such order" in screen.getvalue()


def test_what_a_library_logs_is_a_line_of_json_too() -> None:
    with logged() as screen:
        logging.getLogger("a.library").warning("Something is odd.")
        try:
            plain()
        except ValueError:
            logging.getLogger("asyncio").exception("Task exception was never retrieved")
    calm, failed = [json.loads(line) for line in screen.getvalue().splitlines()]
    assert (calm["event"], calm["logger"], calm["level"]) == (
        "Something is odd.",
        "a.library",
        "warning",
    )
    assert failed["exception"][0]["exc_type"] == "ValueError"
    assert failed["timestamp"] >= calm["timestamp"]


async def test_asyncio_does_not_quote_what_nobody_awaited() -> None:
    def fail(_: str) -> None:
        plain()

    loop = asyncio.get_running_loop()
    with logged() as screen:
        future = loop.create_future()
        future.set_exception(ValueError(CANARY))
        loop.call_exception_handler(
            {"message": "Task exception was never retrieved", "exception": future.exception(), "future": future}
        )
        loop.call_soon(fail, CANARY)
        await asyncio.sleep(0)
    assert CANARY not in screen.getvalue()
    assert "Task exception was never retrieved" in screen.getvalue()
    assert "Exception in callback" in screen.getvalue()
    assert screen.getvalue().count('"exc_type": "ValueError"') == 2


WARNING = """
from pydantic import BaseModel
from events.process import configure_logs
class Said(BaseModel):
    text: int
configure_logs()
Said.model_construct(text="canary-7f3a").model_dump_json()
"""


def test_a_warning_is_logged_by_its_place_and_does_not_quote_the_value_that_it_is_about() -> None:
    ran = subprocess.run([sys.executable, "-c", WARNING], capture_output=True, text=True, check=True)  # noqa: S603 - our own line
    assert CANARY not in ran.stderr
    (line,) = [json.loads(line) for line in ran.stderr.splitlines()]
    assert (line["event"], line["category"]) == ("python_warned", "UserWarning")
    assert line["file"].endswith("main.py")


ENDING = """
import threading
from events.process import configure_logs
configure_logs()
class Gone:
    def __del__(self):
        raise ValueError("canary-7f3a")
def fail():
    raise ValueError("canary-7f3a")
Gone()
one = threading.Thread(target=fail)
one.start()
one.join()
fail()
"""


def test_a_process_ends_without_quoting_what_ended_it() -> None:
    ran = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, check=False)  # noqa: S603 - our own line
    assert ran.returncode == 1
    assert CANARY not in ran.stderr
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["exception_ignored", "os_thread_failed", "process_failed"]
    assert {line["exception"][0]["exc_type"] for line in lines} == {"ValueError"}
