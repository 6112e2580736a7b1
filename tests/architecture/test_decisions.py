"""The decisions in docs/adr: numbered without a hole, each says when to look again, and those cited are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))


def test_each_has_its_number_and_says_when_to_look_again() -> None:
    assert [adr.name[:4] for adr in ADRS] == [f"{number:04}" for number in range(1, len(ADRS) + 1)]
    for adr in ADRS:
        text = adr.read_text()
        assert text.startswith(f"# {adr.name[:4]} ")
        assert "\n## Revisit when\n" in text


def test_what_is_cited_is_there() -> None:
    numbers = {adr.name[:4] for adr in ADRS}
    cited = {
        (str(path.relative_to(ROOT)), number)
        for folder in ("consumers", "gateway", "producers", "storage", "events", "engine", "docs", "deploy", "cli")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".md"}
        for number in re.findall(r"\badr[/ ](\d{4})", path.read_text(), re.IGNORECASE)
    }
    assert {place for place in cited if place[1] not in numbers} == set()
    assert {"0011", "0012"} <= {number for _, number in cited}
