"""The age of the oldest uncommitted event, on a clock in hand."""

from gateway.lag import Lag


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_level_keeper_has_no_lag() -> None:
    clock = Clock()
    lag = Lag(clock)
    lag.seen(7)
    lag.committed(7)
    clock.now += 60
    assert lag.seconds == 0


def test_a_busy_keeper_lags_by_the_oldest_event_it_has_not_committed() -> None:
    clock = Clock()
    lag = Lag(clock)
    for seq in range(1, 101):
        lag.seen(seq)
        lag.committed(seq - 3)
        clock.now += 0.2
    assert 0.4 < lag.seconds < 1.0


def test_a_stopped_keeper_lags_more_and_more_in_bounded_memory() -> None:
    clock = Clock()
    lag = Lag(clock)
    for seq in range(20_000):
        lag.seen(seq)
        clock.now += 0.11
    assert lag.seconds > 2_000
    assert len(lag._samples) <= 4_096


def test_a_new_epoch_forgets_the_lag_of_the_old_one() -> None:
    clock = Clock()
    lag = Lag(clock)
    lag.seen(1)
    clock.now += 9
    lag.reset()
    assert lag.seconds == 0


def test_what_came_right_after_another_is_waited_for_too_when_nothing_follows() -> None:
    clock = Clock()
    lag = Lag(clock)
    lag.seen(7)
    clock.now += 0.01
    lag.seen(8)
    lag.committed(7)
    clock.now += 30
    assert 29.9 < lag.seconds < 30.1
    lag.committed(8)
    assert lag.seconds == 0
