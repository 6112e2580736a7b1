"""Files stay small enough to read in one go."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT = 400  # lines; migrations are read once, and excepted


def test_no_file_is_longer_than_its_budget() -> None:
    files = [path for path in ROOT.glob("[a-z]*/**/*.py") if "versions" not in path.parts]
    assert len(files) > 50
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > LIMIT} == {}
