"""Our top-level names are generic: a package of the same name must not be installed, or win."""

import importlib
import importlib.metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for path in ROOT.glob("[a-z]*/**/*.py") if "examples" not in path.parts}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


@pytest.mark.parametrize("name", NAMES)
def test_no_installed_distribution_carries_our_name(name: str) -> None:
    owners = importlib.metadata.packages_distributions().get(name, [])
    assert set(owners) <= {"ganglion"}


@pytest.mark.parametrize("name", NAMES)
def test_our_name_imports_our_folder(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__).parent == ROOT / name
