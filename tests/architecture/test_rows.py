"""docs/rows.md names tests that exist, and leaves out no row that it has to account for."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rows.md").read_text()
NAMED = re.findall(r"(?<![\w./])((?:chaos|e2e|integration|unit)/[\w/]*test_\w+\.py)(?:::(test_\w+))?", PAGE)
WANTED = (
    *(f"T{number:03}" for number in range(9, 48)),
    *("T061", "T062", "T063", "T064", "T065a", "T065b", "T066"),
    *(f"FR-{number:03}" for number in (*range(1, 16), 20)),
    *(f"SC-{number:03}" for number in (1, 2, 3, 4, 5, 7, 8, 9, 10)),
    *(f"2.2.A-{number}" for number in (2, *range(8, 19))),
    *(f"2.2.B-{number}" for number in range(1, 17)),
    *(f"2.2.D-{number}" for number in (*range(5, 12), *range(13, 19))),
    *(f"2.2.C-{number}" for number in range(1, 15)),
    *("2.2.A-3", "2.2.D-23", "2.2.D-24", "2.2.E-3", "2.2.F-3", "O.5 context merge"),
    *("2.2.F-1", "2.2.F-5", "2.2.F-7", "2.3.A-5", "2.3.A-6", "1.3.R2"),
    *("O.5 routing", "O.5 breaker", "O.5 load level", "O.5 tiers"),
    *(f"003.5-{number}" for number in range(1, 8)),
    *(f"001 {row}" for row in ("1", "1.1a", "1.1b", "1.1c", "1.2a", "1.2b", "1.2c", "1.3", "3")),
    *(
        f"001 3.{row}"
        for row in ("1a", "1b", "1c", "1d", "2a", "2b", "2c", "2d", "3a", "3b", "3c", "3d", "4a", "4b", "4c")
    ),
    *(f"001 4.{row}" for row in ("1", "2a", "2b", "2c", "2d", "3a", "3b", "3c", "3d")),
    *(f"001 {row}" for row in ("6.1", "6.3", "7.1", "7.2", "7.3", "N.2", "N.3", "N.4")),
    *(f"001.5-{number}" for number in range(1, 11)),
    *(f"2.3.A-{number}" for number in range(1, 9)),
    *(f"1.2.P1.1{letter}" for letter in "abcdefg"),
    *(f"1.2.P1.{number}" for number in (2, 3, 4)),
    *(f"1.2.P2.1{letter}" for letter in "abcdefgh"),
    *(f"1.2.P2.{row}" for row in ("2a", "2b", "2c", "2d", "3a", "3b", "3c", "4", "5a", "5b", "5c", "6", "A")),
    *(f"1.2.P3.{row}" for row in ("1a", "1b", "1c", "2a", "2b", "3a", "3b", "3c", "3d", "4")),
    *(f"1.2.P3.5-{number}" for number in range(1, 6)),
    *(f"1.2.P4.{row}" for row in ("1", "2", "3a", "3b", "4", "5")),
    *(f"1.1.R{number}" for number in range(1, 9)),
    *(f"000.5-{number}" for number in range(1, 14)),
    *("1.2.S1", "1.2.DEP", "REF.TC", "INF", "1.3.R3", "3.1.EAP", "VP-1", "VP-2", "2.4.C-1"),
    *(f"2.2.D-{number}" for number in (1, 2, 3, 4, 12, 19, 21, 22, 25)),
    *(f"002.5-{number}" for number in (1, 2, 5, 6, 7, 8, 9)),
    *("O.5 reflex", "O.5 dependencies", "002.2 dependencies", "2.2.A-21", "2.2.A-22", "2.2.F-2"),
    *("O.5 decomposition", "O.4 task.decompose", "O.4 task.decomposed"),
    *("1.3.R1", "2.2.A-19", "2.2.A-20", "2.2.A-21", "2.2.D-20", "2.2.E-1", "002.5-3", "002.5-4", "002.5-5"),
    *(f"002.3 {part}" for part in ("PERT", "complexity", "capabilities", "templates", "rules", "strategies")),
)


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_each_test_that_is_named_is_there(file: str, name: str) -> None:
    text = (ROOT / "tests" / file).read_text()
    assert not name or f"def {name}(" in text


def test_no_row_is_left_out() -> None:
    cells = re.findall(r"^\| ([^|]+) \|", PAGE, re.MULTILINE)
    told = {row.strip() for cell in cells for row in cell.split(",")}
    assert [row for row in WANTED if row not in told] == []
