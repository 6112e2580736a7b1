"""What repeats is said once until it changes."""

import pytest

from producers.said import Said


def test_what_repeats_is_said_once_until_it_goes_well() -> None:
    said = Said()

    tries = [said.once(error) for error in ("away", "away", "late", "away", "late")]
    said.clear()

    assert tries == [True, False, True, False, False], "two that take turns are said once each"
    assert said.once("away")


def test_what_goes_on_is_said_again_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    said, now = Said(), 0.0
    monkeypatch.setattr("producers.said.time.monotonic", lambda: now)
    assert said.once("away", again_after=60.0)

    now = 59.0
    assert not said.once("away", again_after=60.0)

    now = 60.0
    assert said.once("away", again_after=60.0)


def test_a_state_is_said_whenever_it_is_another_than_before() -> None:
    said = Said()

    assert [said.becomes(state) for state in (True, True, False, False, True)] == [True, False, True, False, True]


def test_what_is_never_the_same_takes_no_more_than_its_room() -> None:
    said = Said()

    assert all(said.once(number) for number in range(250))
    assert len(said._said) <= 100
