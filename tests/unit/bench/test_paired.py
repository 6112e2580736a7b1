"""What two trees are compared by."""

from bench.paired import added_up, compared, mean_of


def test_the_three_that_are_ours_are_added_up() -> None:
    figures = {"consumers": 5.0, "gateway": 3.0, "nats": 2.0, "postgres": 100.0}
    assert added_up(figures) == {**figures, "these three": 10.0}


def test_a_start_is_the_mean_of_its_portions() -> None:
    assert mean_of([{"nats": 100.0, "gateway": 1.0}, {"nats": 300.0, "gateway": 3.0}]) == {
        "nats": 200.0,
        "gateway": 2.0,
    }


def test_the_ratio_is_that_of_pairs_and_not_that_of_medians() -> None:
    old = [{"nats": 100.0}, {"nats": 200.0}, {"nats": 1_000.0}]
    new = [{"nats": 80.0}, {"nats": 160.0}, {"nats": 100.0}]
    assert compared(old, new) == [("nats", 200.0, 100.0, 0.8)]


def test_what_took_nothing_has_no_ratio_of_its_own() -> None:
    assert compared([{"engine": 0.0}], [{"engine": 5.0}]) == [("engine", 0.0, 5.0, 1.0)]
