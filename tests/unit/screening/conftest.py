"""One compiled screener for all tests of the rule engine."""

import pytest

from screening import Screener


@pytest.fixture(scope="session")
def screener() -> Screener:
    return Screener()
