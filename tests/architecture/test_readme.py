"""README claims only what is there: its links, commands, variables and its request are compared with the code."""

import importlib
import json
import pkgutil
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import prometheus_client
import pytest
import typer
from pydantic import AliasChoices
from pydantic_settings import BaseSettings

import consumers.app  # noqa: F401 - what consumers count is declared where they are
from cli.command import app
from deploy.local.tokens import SCOPES
from gateway.metrics import Metrics
from gateway.tasks.requests import TaskRequest
from gateway.tasks.submitting import CREATE

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md"))]
SETTINGS = ("cli", "consumers", "deploy", "engine", "gateway", "producers", "screening", "storage", "events")
_VARIABLE = re.compile(r"`([A-Z][A-Z_]+)`")


def variables(settings: type[BaseSettings]) -> Iterator[str]:
    """The names that one settings class reads."""
    for name, field in settings.model_fields.items():
        alias = field.validation_alias
        assert not isinstance(alias, AliasChoices)
        yield (str(alias) if alias else f"{settings.model_config.get('env_prefix', '')}{name}").upper()


def all_settings() -> Iterator[type[BaseSettings]]:
    for package in SETTINGS:
        folder = ROOT / package
        for found in pkgutil.walk_packages([str(folder)], f"{package}."):
            if not any(part in found.name for part in ("__main__", ".migrations", ".training")):
                importlib.import_module(found.name)
    yield from (one for one in BaseSettings.__subclasses__() if one.__module__.split(".")[0] in SETTINGS)


def test_the_table_names_every_variable_that_is_read_and_no_other() -> None:
    rows = [line.split("|")[1] for line in CONFIGURATION.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in _VARIABLE.findall(row)}
    assert named == {name for settings in all_settings() for name in variables(settings)}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file(document: str) -> None:
    place = ROOT / document
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", place.read_text()) if "://" not in target]
    assert not [target for target in targets if not (place.parent / target).exists()]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_exists(document: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"[$`] ?make ([a-z-]+)", (ROOT / document).read_text())) <= targets


def test_the_command_has_what_is_said_of_it() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group has commands
    line = next(line for line in README.splitlines() if "`--help` explains each" in line)
    said = re.findall(r"`([a-z]+)`", line)
    assert said
    assert set(said) <= set(commands)


def test_the_metrics_that_are_explained_are_served() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    said = set(re.findall(r"`((?:gateway|orchestrator|ganglion|reflex)_[a-z_]+)`", page))
    lines = (Metrics().text() + prometheus_client.generate_latest()).decode().splitlines()
    served = {line.split()[2] for line in lines if line.startswith("# TYPE ")}
    assert said
    assert said <= served


def test_the_scopes_in_the_table_are_those_that_can_be_minted() -> None:
    assert set(re.findall(r"^\| `([a-z:]+)` \|", CONFIGURATION, re.MULTILINE)) == set(SCOPES)


def test_the_request_is_one_that_the_gateway_takes() -> None:
    words = shlex.split(re.findall(r"```sh\n(curl .*?)```", README, re.DOTALL)[0].replace("\\\n", " "))
    assert words[2] == f"$GATEWAY{CREATE.path}"
    TaskRequest.model_validate_json(words[words.index("-d") + 1])
    shown = json.loads(re.findall(r"```json\n(.*?)```", README, re.DOTALL)[0])
    assert set(shown) == {"task_id", "status", "durability", "message", "links"}


def test_it_is_short_enough_to_read() -> None:
    assert len(README.splitlines()) <= 150
