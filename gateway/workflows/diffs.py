"""Unified diffs between two sets of files, in git's form: `git apply` and `patch -p1` take them."""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping

from events.files import compare

CONTEXT = 3
MEDIA_TYPE = "text/x-diff"

_NO_NEWLINE = "\n\\ No newline at end of file\n"
_NOTHING, _EMPTY = "0000000", "e69de29"
"""How git names no file and an empty one; by these `patch` knows that an empty file is to go."""
_MAX_WORK = 4_000_000
"""Lines before times lines after, beyond which a file is shown as replaced: matching them would take too long."""
_MAX_STEPS = 20_000_000
"""Of matching all files of one diff: seconds at the worst. A file for which too few are left is shown as replaced."""
_MANY = 200
"""Lines from which on difflib leaves out those that more than a hundredth of them are like."""


class _Steps:
    """How many steps of matching are left."""

    def __init__(self) -> None:
        self._left = _MAX_STEPS

    def suffice(self, old: list[str], new: list[str]) -> bool:
        """Whether two files can be matched; then their steps are taken off.

        Each match that is found looks at the lines before and, for each, at all lines after that are like it.
        """
        counted = Counter(new)
        most = len(new) // 100 + 1 if len(new) >= _MANY else len(new)
        alike = sum(counted[line] for line in old if counted[line] <= most)
        steps = (len(old) + alike) * min(len(old), len(new))
        if len(old) * len(new) > _MAX_WORK or steps > self._left:
            return False
        self._left -= steps
        return True


def unified_diff(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What `after` (path -> text) adds to, changes in and removes from `before`; empty if nothing."""
    paths, steps = compare(before, after).paths, _Steps()
    return "".join(part for path in paths for part in _file(path, before.get(path), after.get(path), steps))


def _file(path: str, before: str | None, after: str | None, steps: _Steps) -> Iterator[str]:
    old, new = _lines(before or ""), _lines(after or "")
    # Where no `---` and `+++` follow, patch takes the path from here, and one with a space only in quotes.
    quote = '"' if " " in path and not old and not new else ""
    yield f"diff --git {quote}a/{path}{quote} {quote}b/{path}{quote}\n"
    if before is None:
        yield "new file mode 100644\n"
    if after is None:
        yield "deleted file mode 100644\n"
    if not old and not new:
        yield f"index {_NOTHING}..{_EMPTY}\n" if before is None else f"index {_EMPTY}..{_NOTHING}\n"
        return
    # A path with a space is ended by a tab, as diff and git do, or patch reads only its first word.
    tab = "\t" if " " in path else ""
    yield "--- /dev/null\n" if before is None else f"--- a/{path}{tab}\n"
    yield "+++ /dev/null\n" if after is None else f"+++ b/{path}{tab}\n"
    for line in _hunks(old, new, steps):
        yield line if line.endswith("\n") else line + _NO_NEWLINE


def _lines(text: str) -> list[str]:
    """Lines as diff counts them: only a line feed ends one."""
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _hunks(old: list[str], new: list[str], steps: _Steps) -> Iterator[str]:
    if not steps.suffice(old, new):
        yield f"@@ -1,{len(old)} +1,{len(new)} @@\n"
        yield from (f"-{line}" for line in old)
        yield from (f"+{line}" for line in new)
        return
    lines = difflib.unified_diff(old, new, n=CONTEXT)
    next(lines, None)
    next(lines, None)
    yield from lines
