"""Two ways for a test to fail: patience ran out, which may be tried once more, and a broken promise, which may not.

A pytest plugin. A run that ends with broken promises notes which; a run with `--promises-are-final` fails those tests
without trying them again, however rarely the promise breaks.
"""

from collections.abc import Generator
from contextlib import contextmanager

import pytest

_NOTED = "ganglion/broken-promises"
_PROPERTY = "broken-promise"


class BrokenPromiseError(AssertionError):
    """Something was lost, doubled, shown out of order or left unaccounted for: no slow machine excuses that."""


class OutOfPatienceError(AssertionError):
    """Something did not come true in time."""


@contextmanager
def a_promise() -> Generator[None]:
    """What is asserted inside is a promise; that patience runs out breaks none."""
    try:
        yield
    except OutOfPatienceError:
        raise
    except AssertionError as error:
        raise BrokenPromiseError(*error.args) from error


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--promises-are-final", action="store_true", help="do not try a test again that broke a promise")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.excinfo is not None and call.excinfo.errisinstance(BrokenPromiseError):
        report.user_properties.append((_PROPERTY, "yes"))
    return report


class Notes:
    """What a whole run has found, on the side that sees all reports."""

    def __init__(self) -> None:
        self._broken: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and (_PROPERTY, "yes") in [tuple(pair) for pair in report.user_properties]:
            self._broken.add(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.config.cache is not None:
            session.config.cache.set(_NOTED, sorted(self._broken))


class Refusal:
    """Fails those that were noted, before anything of theirs is set up."""

    def __init__(self, broken: set[str]) -> None:
        self._broken = broken

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if item.nodeid in self._broken:
            raise BrokenPromiseError("it broke a promise before; that is not tried again")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or config.cache is None:
        return
    if config.getoption("--promises-are-final"):
        config.pluginmanager.register(Refusal(set(config.cache.get(_NOTED, []))))
    config.pluginmanager.register(Notes())
