"""The check of a call's signature as docs/agents.md gives it to authors of agents: its own lines."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

_PAGE = Path(__file__).parents[2] / "docs" / "agents.md"
_Check = Callable[[str, Mapping[str, str], bytes], bool]


def is_genuine(secret: str, headers: Mapping[str, str], body: bytes, *, now: float | None = None) -> bool:
    """What the page's function says at this time."""
    (lines,) = [block for block in _PAGE.read_text().split("```python")[1:] if "def is_genuine" in block]
    names: dict[str, object] = {}
    exec(lines.partition("```")[0], names)  # noqa: S102 - our own page
    names["time"] = SimpleNamespace(time=lambda: time.time() if now is None else now)
    return cast("_Check", names["is_genuine"])(secret, headers, body)
