"""The layers hold, and each contract notices when it is broken."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "bench",
    "cli",
    "consumers",
    "deploy",
    "engine",
    "events",
    "gateway",
    "producers",
    "screening",
    "storage",
)
LINT = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"

BREACHES = [
    ("events/zz.py", "import storage", "layers"),
    ("producers/zz.py", "import storage", "layers"),
    ("storage/zz.py", "import gateway", "layers"),
    ("gateway/zz.py", "import consumers", "layers"),
    ("engine/zz.py", "import tests.support", "nothing that serves depends on how it is started or measured"),
    ("gateway/zz.py", "import deploy.provision", "nothing that serves depends on how it is started or measured"),
    ("deploy/zz.py", "import gateway", "the stack starts roles as processes and imports none"),
    ("engine/zz.py", "import consumers.zy", "layers"),
    ("engine/zz.py", "import producers", "the engine knows the vocabulary only"),
    ("engine/zz.py", "import storage", "the engine knows the vocabulary only"),
    ("storage/zz.py", "import psycopg", "LangGraph and its driver stay in the engine"),
    ("consumers/zz.py", "import langgraph.graph", "LangGraph and its driver stay in the engine"),
    ("consumers/zz.py", "import consumers.zy", "consumers never meet"),
    ("gateway/zz.py", "import sqlalchemy", "SQL and Redis stay in storage"),
    ("consumers/zz.py", "import redis.asyncio", "SQL and Redis stay in storage"),
    ("producers/zz.py", "import fastapi", "HTTP frameworks stay in the gateway"),
    ("gateway/http/zz.py", "import gateway.tasks", "who is calling, and HTTP, know nothing of what is served"),
    ("screening/zz.py", "import httpx", "the vocabulary and the screening are pure"),
]


def lint(folder: Path) -> str:
    """The verdict of import-linter on a tree."""
    answer = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", LINT, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )
    return answer.stdout + answer.stderr


@pytest.fixture(scope="module")
def skeleton(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our packages, empty, under our contracts."""
    folder = tmp_path_factory.mktemp("skeleton")
    shutil.copy(ROOT / "pyproject.toml", folder)
    folders = [path.parent.relative_to(ROOT) for path in ROOT.glob("gateway/*/__init__.py")]
    for package in (*map(Path, PACKAGES), *folders):
        (folder / package).mkdir()
        (folder / package / "__init__.py").touch()
    (folder / "gateway" / "app.py").touch()
    (folder / "consumers" / "zy.py").touch()
    (folder / "deploy" / "provision.py").touch()
    return folder


def test_the_tree_keeps_every_contract() -> None:
    assert " 0 broken" in lint(ROOT)


def test_the_contracts_cover_every_package() -> None:
    assert sorted(path.parent.name for path in ROOT.glob("*/__init__.py")) == sorted((*PACKAGES, "tests"))


@pytest.mark.parametrize(("file", "line", "contract"), BREACHES)
def test_a_breach_is_caught(skeleton: Path, file: str, line: str, contract: str) -> None:
    breach = skeleton / file
    breach.write_text(f"{line}\n")
    try:
        verdict = lint(skeleton)
    finally:
        breach.unlink()
    assert f"{contract} BROKEN" in verdict
