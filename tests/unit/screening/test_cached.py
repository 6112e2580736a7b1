"""What is remembered of a text is found again for the same text, checks and rules, and for nothing else."""

import re
from pathlib import Path

import pytest

from screening.cached import CachedScreener, key_of
from screening.engine import Screener
from screening.model import EVERYTHING, Checks
from screening.version import version_of_code

SECRET = b"k" * 32
LONG = "The report says that all is well. " * 150


class Kept:
    """A store that forgets nothing."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    async def put(self, key: str, value: bytes, _seconds: int) -> None:
        self.values[key] = value


def test_fault_8_another_text_case_check_rule_or_secret_is_another_key() -> None:
    keys = {
        key_of(SECRET, "acme", "Text", EVERYTHING, "1"),
        key_of(SECRET, "acme", "text", EVERYTHING, "1"),
        key_of(SECRET, "acme", "Text ", EVERYTHING, "1"),
        key_of(SECRET, "acme", "Text", Checks(data=False), "1"),
        key_of(SECRET, "acme", "Text", Checks(injections=False), "1"),
        key_of(SECRET, "acme", "Text", Checks(patterns="strict"), "1"),
        key_of(SECRET, "acme", "Text", EVERYTHING, "2"),
        key_of(SECRET, "other", "Text", EVERYTHING, "1"),
        key_of(b"j" * 32, "acme", "Text", EVERYTHING, "1"),
    }
    assert len(keys) == 9


async def test_fault_8_what_other_rules_found_is_not_taken_over(screener: Screener) -> None:
    store = Kept()
    newer = screener.under(screener.policy)
    newer.rules_version = "newer"
    readers = [CachedScreener(one, store, SECRET) for one in (screener, screener, newer)]
    assert [(await one.examine(LONG, whose="acme"))[1] for one in readers] == [False, True, False]


@pytest.mark.parametrize("name", ["engine.py", "text/letters.py", "data/confusables.tsv", "data/classifier.json"])
def test_other_code_or_data_has_another_version(tmp_path: Path, name: str) -> None:
    changed = tmp_path / name
    changed.parent.mkdir(exist_ok=True)
    changed.write_text("a")
    first = version_of_code(tmp_path)
    changed.write_text("b")
    assert version_of_code(tmp_path) != first


def test_what_is_asked_after_the_text_was_read_has_no_part_in_the_version(tmp_path: Path, screener: Screener) -> None:
    empty = version_of_code(tmp_path)
    for name in ("policy.yaml", "engine.pyc", "notes.md"):
        (tmp_path / name).write_text("a")
    assert version_of_code(tmp_path) == empty
    assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]{6}", screener.rules_version)
