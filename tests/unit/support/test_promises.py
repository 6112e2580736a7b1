"""Which failures `make test` tries once more: a patience that ran out, and never a promise that broke."""

import pytest

pytest_plugins = ["pytester"]

_TESTS = """
import pytest
from pathlib import Path
from tests.support.promises import OutOfPatienceError, a_promise

def first_time(name):
    tried = Path(name)
    if tried.exists():
        return False
    tried.touch()
    return True

def test_slow():
    with a_promise():
        if first_time("slow"):
            raise OutOfPatienceError("not yet")

def test_lost():
    with a_promise():
        assert not first_time("lost")

def test_lost_at_the_end_of_a_fixture(fixture):
    pass

@pytest.fixture
def fixture():
    yield
    with a_promise():
        assert not first_time("fixture")
"""
_PLUGINS = ("-p", "tests.support.promises", "-p", "no:asyncio", "-p", "no:schemathesis")


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_a_broken_promise_stays_broken_and_patience_is_given_once_more(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    pytester.makepyfile(_TESTS)
    first = pytester.runpytest_inprocess(*_PLUGINS, *workers)
    first.assert_outcomes(failed=2, passed=1, errors=1)
    again = pytester.runpytest_inprocess(*_PLUGINS, "--last-failed", "--promises-are-final")
    again.assert_outcomes(passed=1, errors=2)
    again.stdout.fnmatch_lines(["*it broke a promise before*"])
    third = pytester.runpytest_inprocess(*_PLUGINS, "--last-failed")
    third.assert_outcomes(passed=2)
