"""Tables of the reflex layer's page are measured all at once, or some of them while the others stay."""

import pytest

from bench.reflex.page import END, START, rewritten

PAGE = (
    f"# Page\n\n{START}\n\nRules 1.\n\n### Cost\n\n| old |\n\n### Text\n\n| old | text |\n\n{END}\n\nRest ### of it.\n"
)


def unasked() -> str:
    pytest.fail("measured for nothing")


def test_all_tables_are_measured_anew() -> None:
    page = rewritten(PAGE, "2", {"Cost": lambda: "| new |", "More": lambda: "| more |"})
    assert page == (
        f"# Page\n\n{START}\n\nRules 2.\n\n### Cost\n\n| new |\n\n### More\n\n| more |\n\n{END}\n\nRest ### of it.\n"
    )


def test_tables_not_asked_for_stay_as_they_are_with_the_version_they_are_of() -> None:
    assert rewritten(PAGE, "2", {"Cost": lambda: "| new |", "Text": unasked}, "Co") == PAGE.replace(
        "| old |\n\n#", "| new |\n\n#"
    )
