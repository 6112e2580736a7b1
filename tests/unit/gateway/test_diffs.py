"""A diff leads from the one set to the other whatever the texts hold."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.workflows.diffs import unified_diff

BASE = {
    "plan.md": "# Plan\n\n1. Begin\n2. Go on\n3. End\n",
    "old.md": "gone\n",
    "THE_SPEC/two words.md": "no newline at the end",
    "empty.md": "",
}
LINES = st.lists(st.sampled_from(["", "a", "b", "a b", "-- x", "+++ y", "\r", "\x0c", "\u2028", "é"]), max_size=8)
TEXTS = LINES.map("\n".join)
TREES = st.dictionaries(st.sampled_from(["a.md", "b c.md", "d/e.md", "é.md"]), TEXTS, max_size=4)


def applied(before: dict[str, str], diff: str) -> dict[str, str]:
    """The files after the diff: a patch tool in small, so that the test needs none (git itself agreed with it)."""
    after = dict(before)
    for part in re.split(r"^diff --git ", diff, flags=re.MULTILINE)[1:]:
        header, *hunks = re.split(r"^(@@ .* @@\n)", part, flags=re.MULTILINE)
        named = re.match(r'(?:a/(.*) b/\1|"a/(.*)" "b/\2")\n', header)
        assert named is not None
        path = named[1] or named[2]
        text = _changed(before.get(path, ""), hunks)
        if "deleted file mode" in header:
            assert text == ""
            del after[path]
        else:
            assert ("new file mode" in header) == (path not in before)
            after[path] = text
    return after


def _changed(text: str, hunks: list[str]) -> str:
    """The text after the hunks; each must fit it word for word."""
    old = [line + "\n" for line in text.split("\n")]
    old[-1] = old[-1][:-1]
    new: list[str] = []
    taken = 0
    for place, body in zip(hunks[::2], hunks[1::2], strict=True):
        first, count = re.match(r"@@ -(\d+)(?:,(\d+))?", place).groups()  # type: ignore[union-attr]  # as split
        start = int(first) - (0 if count == "0" else 1)
        new += old[taken:start]
        taken = start
        for line in re.findall(r"(?s)([ +-])(.*?\n)(\\ No newline at end of file\n)?", body):
            sign, content = line[0], line[1][:-1] if line[2] else line[1]
            if sign in " -":
                assert old[taken] == content
                taken += 1
            if sign in " +":
                new.append(content)
    return "".join(new + old[taken:])


@pytest.mark.parametrize(
    "after",
    [
        {**BASE, "plan.md": "# Plan\n\n1. Begin\n2. Rest\n3. End\n"},
        {path: text for path, text in BASE.items() if path != "old.md"},
        {**BASE, "THE_SPEC/two words.md": "no newline at the end, still"},
        {**BASE, "THE_SPEC/two words.md": "now there is one\n"},
        {**BASE, "new.md": ""},
        {path: text for path, text in BASE.items() if path != "empty.md"},
        {},
    ],
    ids=["change", "removal", "no newline", "newline", "new empty file", "empty file gone", "all gone"],
)
def test_it_leads_from_one_set_to_the_other(after: dict[str, str]) -> None:
    assert applied(BASE, unified_diff(BASE, after)) == after


@given(before=TREES, after=TREES)
def test_it_does_so_for_any_two_sets(before: dict[str, str], after: dict[str, str]) -> None:
    assert applied(before, unified_diff(before, after)) == after


def test_files_that_agree_are_left_out() -> None:
    assert unified_diff(BASE, dict(BASE)) == ""


def test_an_empty_file_comes_and_goes_as_git_writes_it() -> None:
    """Else `patch` leaves a file alone that is empty already, and one whose path has a space."""
    assert unified_diff({"old.md": ""}, {"a new.md": ""}) == (
        'diff --git "a/a new.md" "b/a new.md"\nnew file mode 100644\nindex 0000000..e69de29\n'
        "diff --git a/old.md b/old.md\ndeleted file mode 100644\nindex e69de29..0000000\n"
    )


def test_a_change_looks_as_diff_writes_it() -> None:
    assert unified_diff({"a.md": "one\ntwo\n"}, {"a.md": "one\nthree\n"}) == (
        "diff --git a/a.md b/a.md\n--- a/a.md\n+++ b/a.md\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n"
    )


@pytest.mark.timeout(10)  # one of them alone took twenty seconds
def test_files_whose_lines_are_much_alike_are_shown_as_replaced() -> None:
    """Each blank line of one is like each of the other, and each match that is found leaves most of them to look at."""
    old = "".join("\n" if n % 2 else f"old {n}\n" for n in range(20_000))
    new = "".join("\n" if n % 2 else f"new {n}\n" for n in range(199))
    before, after = {f"{n}.md": old for n in range(8)}, {f"{n}.md": new for n in range(8)}
    diff = unified_diff(before, after)
    assert diff.count("@@ -1,20000 +1,199 @@") == 8
    assert applied(before, diff) == after


def test_many_files_are_matched_together_no_longer_than_one() -> None:
    old, new = "".join(f"{n}\n" for n in range(1_900)), "".join(f"{n}\n" for n in range(1_899))
    before, after = {f"{n}.md": old for n in range(4)}, {f"{n}.md": new for n in range(4)}
    diff = unified_diff(before, after)
    assert (diff.count("@@ -1897,4 +1897,3 @@"), diff.count("@@ -1,1900 +1,1899 @@")) == (2, 2)
    assert applied(before, diff) == after


def test_files_too_long_to_match_are_shown_as_replaced() -> None:
    before = {"a.md": "".join(f"{n % 7}\n" for n in range(3_000))}
    after = {"a.md": "".join(f"{n % 5}\n" for n in range(3_000)) + "end"}
    diff = unified_diff(before, after)
    assert diff.count("@@ -1,3000 +1,3001 @@") == 1
    assert applied(before, diff) == after
