"""What stands in contexts: places, steps, merges and differences, and the bounds of it all."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from events.base import JsonObject
from events.context import ContextOp, MergeStrategy
from events.context_data import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_PLACE,
    MAX_VALUES,
    Found,
    Merged,
    NoSuchPlaceError,
    Version,
    changed_by,
    differences,
    fault_of,
    find,
    is_same,
    keys_in,
    merged,
)

EARLY = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = (Path(__file__).parents[3] / "docs" / "contexts.md").read_text()
STRATEGIES = get_args(MergeStrategy)
KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=".\0"), min_size=1, max_size=3)
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS: st.SearchStrategy[JsonObject] = st.dictionaries(KEYS, VALUES, max_size=4)


def joined(target: JsonObject, *sources: JsonObject, strategy: MergeStrategy) -> Merged:
    """Each source a minute younger than the one before, the target the oldest."""
    versions = [Version(data, EARLY + timedelta(minutes=minute)) for minute, data in enumerate((target, *sources))]
    return merged(versions[0], versions[1:], strategy)


def put(path: str, value: JsonValue) -> ContextOp:
    return ContextOp(op="set", path=path, value=value)


A: JsonObject = {"a": {"x": 1, "y": [1, 2]}, "k": 1}
B: JsonObject = {"a": {"x": 2, "z": 3, "y": [2, 3, 3]}, "k": None}


@pytest.mark.parametrize(
    ("strategy", "data", "conflicts"),
    [
        ("last_write_wins", {"a": {"x": 2, "y": [2, 3, 3], "z": 3}, "k": None}, ("a.x", "a.y", "k")),
        ("prefer_source", {"a": {"x": 2, "y": [2, 3, 3], "z": 3}, "k": None}, ("a.x", "a.y", "k")),
        ("prefer_target", {"a": {"x": 1, "y": [1, 2], "z": 3}, "k": 1}, ("a.x", "a.y", "k")),
        ("manual", {"a": {"x": 1, "y": [1, 2], "z": 3}, "k": 1}, ("a.x", "a.y", "k")),
        ("deep_merge", {"a": {"x": 1, "y": [1, 2, 3], "z": 3}, "k": 1}, ("a.x", "k")),
    ],
)
def test_each_strategy_decides_for_itself(
    strategy: MergeStrategy, data: JsonObject, conflicts: tuple[str, ...]
) -> None:
    assert joined(A, B, strategy=strategy) == (data, conflicts)


def test_the_page_shows_what_each_strategy_makes_of_its_example() -> None:
    target, source = (json.loads(text) for text in re.findall(r"`(\{\"a\".*\})`", PAGE.partition("| Strategy")[0]))
    rows = re.findall(r"^\| `(\w+)`.*`(\{.*\})` \|$", PAGE, re.MULTILINE)
    assert {name for name, _ in rows} == {"last_write_wins", "prefer_target", "deep_merge"}
    for name, shown in rows:
        assert joined(target, source, strategy=name).data == json.loads(shown)
    assert joined(target, source, strategy="prefer_source").data == json.loads(dict(rows)["last_write_wins"])
    assert json.dumps(joined(target, source, strategy="manual").conflicts) in PAGE


def test_the_last_write_wins_whoever_wrote_it() -> None:
    late, later = EARLY + timedelta(hours=1), EARLY + timedelta(hours=2)
    sources = [Version({"k": "later"}, later), Version({"k": "early"}, EARLY)]
    assert merged(Version({"k": "late"}, late), sources, "last_write_wins").data == {"k": "later"}
    assert merged(Version({"k": "target"}, later), sources, "last_write_wins").data == {"k": "target"}


@given(OBJECTS, OBJECTS, st.sampled_from(STRATEGIES))
def test_a_merge_loses_no_place_and_a_second_one_changes_nothing(
    target: JsonObject, source: JsonObject, strategy: MergeStrategy
) -> None:
    data, conflicts = joined(target, source, strategy=strategy)
    assert set(data) == set(target) | set(source)
    assert is_same(joined(data, source, strategy=strategy).data, data)
    if not conflicts and strategy != "deep_merge":
        assert differences(target, data).changed == {}
        assert differences(source, data).changed == {}


@given(OBJECTS, st.sampled_from(STRATEGIES))
def test_what_is_merged_with_itself_stays_as_it_is_without_conflict(data: JsonObject, strategy: MergeStrategy) -> None:
    assert is_same(joined(data, data, strategy=strategy).data, data)
    assert joined(data, data, strategy=strategy).conflicts == ()


@given(OBJECTS, OBJECTS)
def test_a_difference_leads_from_the_one_to_the_other(one: JsonObject, other: JsonObject) -> None:
    diff = differences(one, other)
    steps = [ContextOp(op="delete", path=place) for place in diff.removed]
    steps += [put(place, value) for place, value in diff.added.items()]
    steps += [put(place, there) for place, (_, there) in diff.changed.items()]
    assert is_same(changed_by(one, steps), other)
    assert (diff.places == ()) == is_same(one, other)


@given(OBJECTS, st.lists(KEYS, min_size=1, max_size=4), VALUES)
def test_what_is_set_is_found_and_what_was_given_stays_as_it_was(
    data: JsonObject, keys: list[str], value: JsonValue
) -> None:
    place, before = ".".join(keys), repr(data)
    try:
        after = changed_by(data, [put(place, value)])
    except NoSuchPlaceError:
        return
    assert find(after, place) == Found(value)
    assert find(changed_by(after, [ContextOp(op="delete", path=place)]), place) is None
    assert repr(data) == before


def test_null_is_there_and_what_is_missing_is_not() -> None:
    assert find({"a": {"b": None}}, "a.b") == Found(None)
    assert find({"a": {"b": None}}, "a.c") is None
    assert find({"a": [1]}, "a.0") is None
    assert differences({"a": None}, {}).removed == {"a": None}
    assert joined({"a": None}, {"a": 1}, strategy="prefer_target") == ({"a": None}, ("a",))


def test_steps_lead_into_objects_only() -> None:
    assert changed_by({}, [put("a.b", 1), put("a.c", 2), ContextOp(op="delete", path="a.b")]) == {"a": {"c": 2}}
    assert changed_by({"a": 1}, [ContextOp(op="delete", path="b.c")]) == {"a": 1}
    with pytest.raises(NoSuchPlaceError):
        changed_by({"a": [1]}, [put("a.b", 1)])


def test_a_number_is_neither_true_nor_its_text_and_is_one_number_however_written() -> None:
    assert is_same({"a": [1, 2**70]}, {"a": [1.0, 2**70]})
    others: list[JsonValue] = [True, "1", [1], None]
    assert not any(is_same(1, other) for other in others)
    assert joined({"a": [1, True]}, {"a": [True, 1.0, "1"]}, strategy="deep_merge").data == {"a": [1, True, "1"]}


def nested(depth: int) -> JsonObject:
    value: JsonObject = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({"a": "x" * (MAX_BYTES - 8)}, None),
        ({"a": "x" * (MAX_BYTES - 7)}, "context_too_large"),
        ({"a": "é" * (MAX_BYTES // 2)}, "context_too_large"),
        ({str(number): 0 for number in range(MAX_VALUES)}, None),
        ({"a": [{"b": 0} for _ in range(MAX_VALUES // 2)]}, "context_too_large"),
        ({"a": [0] * (MAX_VALUES - 1)}, None),
        ({"a": [0] * MAX_VALUES}, "context_too_large"),
        (nested(MAX_DEPTH), None),
        (nested(MAX_DEPTH + 1), "context_too_deep"),
        ({"a": [{"b.c": 1}]}, "unusable_key"),
        ({"a": {"": 1}}, "unusable_key"),
        ({"a" * MAX_PLACE: 1}, None),
        ({"a" * (MAX_PLACE - 1): {"b": 1}}, "unusable_key"),
    ],
)
def test_everything_has_a_bound(data: JsonObject, fault: str | None) -> None:
    assert fault_of(data) == fault


@given(OBJECTS)
def test_every_key_is_counted(data: JsonObject) -> None:
    assert fault_of(data) is None
    assert keys_in(data) >= len(data)
