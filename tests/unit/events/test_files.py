"""Paths that would leave their folder, hide something or clash are refused; digests and differences are exact."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import InvalidPathError
from events.files import (
    MAX_FILES,
    checked_path,
    checked_tree,
    compare,
    digest_of,
    media_type_of,
    relative_path,
    sha256_of,
)

HOSTILE = [
    "",
    "/etc/passwd",
    "..",
    "../secrets.md",
    "THE_SPEC/../../secrets.md",
    "./plan.md",
    "THE_SPEC//plan.md",
    "THE_SPEC/",
    "plan\0.md",
    "plan\n.md",
    "plan\x85.md",
    "..\\secrets.md",
    "C:/plan.md",
    "plan.md:stream",
    'say "yes".md',
    "a" * 4_096,
    "/".join(["a"] * 2_048),
    "é" * 128 + ".md",
    "plan\u202emd.exe",
    "plan\u200b.md",
    "\ufeffplan.md",
    "plan\u2028.md",
    "the\u00a0plan.md",
    "the\u1680plan.md",
    "\ud800.md",
    "e\u0301.md",
    "plan.md.",
    "plan.md ",
    " plan.md",
    "THE_SPEC /plan.md",
    ".git/hooks/post-checkout",
    "sub/.GIT/config",
    "NUL",
    "aux.md",
    "a/com1.txt",
]
FINE = [
    "plan.md",
    "THE_SPEC/requirements.md",
    "a/b/c/d.json",
    "Ünïcode 仕様.md",
    ".env.example",
    "a b.md",
    "..a",
    "con-text",
]


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: ascii(path)[:40])
def test_a_hostile_path_is_refused_without_repeating_it(path: str) -> None:
    with pytest.raises(InvalidPathError) as caught:
        checked_path(path)
    assert len(path) < 6 or path not in str(caught.value)


@pytest.mark.parametrize("path", FINE)
def test_an_ordinary_path_stays_as_it_is(path: str) -> None:
    assert checked_path(path) == path


def test_an_engines_path_loses_the_slash_of_its_virtual_root_and_nothing_else() -> None:
    assert relative_path("/THE_SPEC/plan.md") == "THE_SPEC/plan.md"
    assert relative_path("plan.md") == "plan.md"
    for path in ("//etc/passwd", "/../etc/passwd", "/"):
        with pytest.raises(InvalidPathError):
            relative_path(path)


@pytest.mark.parametrize(
    "paths",
    [
        ["plan.md", "Plan.md"],
        ["straße.md", "STRASSE.md"],
        ["spec/plan.md", "Spec/other.md"],
        ["spec", "spec/plan.md"],
        ["SPEC", "spec/plan.md"],
        ["plan.md", "../plan.md"],
        [f"{number}.md" for number in range(MAX_FILES + 1)],
    ],
    ids=["case", "folded case", "folder case", "file and folder", "both", "one hostile", "too many"],
)
def test_paths_that_cannot_lie_side_by_side_are_refused(paths: list[str]) -> None:
    with pytest.raises(InvalidPathError):
        checked_tree(paths)


def test_paths_that_can_lie_side_by_side_are_taken() -> None:
    checked_tree([*FINE, "THE_SPEC/plan.md", "THE_SPEC/plan.md.txt"])


@given(st.text(st.characters(), max_size=30))
def test_what_is_taken_stays_below_its_folder(path: str) -> None:
    try:
        names = checked_path(path).split("/")
    except InvalidPathError:
        return
    assert names
    assert not {"", ".", ".."} & set(names)
    assert path.isprintable()
    path.encode()


def test_the_digest_is_that_of_a_listing_as_sha256sum_writes_it() -> None:
    files = {"b.md": sha256_of("two\n"), "a.md": sha256_of("one\n")}
    one, two = (hashlib.sha256(text).hexdigest() for text in (b"one\n", b"two\n"))
    listing = f"{one}  a.md\n{two}  b.md\n"
    assert digest_of(files) == hashlib.sha256(listing.encode()).hexdigest()


def test_digests_differ_when_a_path_or_a_text_does() -> None:
    base = {"a.md": sha256_of("one")}
    others = [{}, {"b.md": sha256_of("one")}, {"a.md": sha256_of("two")}, {**base, "b.md": sha256_of("")}]
    assert len({digest_of(files) for files in (base, *others)}) == 5


def test_a_comparison_names_what_was_added_changed_and_removed() -> None:
    found = compare({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "9", "d": "4"})
    assert (found.added, found.changed, found.removed) == (("d",), ("b",), ("c",))
    assert found.paths == ("b", "c", "d")


def test_the_media_type_follows_from_the_end_of_the_name() -> None:
    assert [media_type_of(path) for path in ("a.MD", "x/definition.json", "plan.yml", "main.py", "LICENSE")] == [
        "text/markdown",
        "application/json",
        "application/yaml",
        "text/x-python",
        "text/plain",
    ]
