"""The lanes name files that are there, and every file that needs a whole stack is in one."""

from pathlib import Path

from tests.support.lanes import LANES, LONG, lane_of

TESTS = Path(__file__).parents[2]


def test_what_lanes_name_is_there_and_in_one_lane_only() -> None:
    named = [name for names in (*LANES.values(), LONG) for name in names]
    assert [name for name in named if not (TESTS / f"{name}.py").exists()] == []
    assert len(named) == len(set(named))


def test_every_file_with_a_whole_stack_is_in_a_lane() -> None:
    found = {
        f"{path.parent.name}/{path.stem}" for folder in ("e2e", "chaos") for path in TESTS.glob(f"{folder}/test_*.py")
    }
    assert found == {name for names in LANES.values() for name in names}


def test_tests_of_one_lane_run_together_and_others_by_file() -> None:
    assert lane_of("tests/e2e/test_cli.py::test_a") == lane_of("tests/e2e/test_journey.py::test_b[x]")
    assert lane_of("tests/unit/test_x.py::test_a") == "tests/unit/test_x.py"
