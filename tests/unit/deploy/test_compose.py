"""compose.yaml, the image and nats.conf, checked as far as that goes without a container engine."""

import importlib.util
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, TypeAdapter

from deploy.local.addresses import Addresses
from deploy.local.binaries import nats_server
from deploy.local.roles import PROVISION, ROLES, Role

ROOT = Path(__file__).parents[3]
FROM_ENVIRONMENT = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")


class Service(BaseModel):
    image: str
    restart: str
    command: list[str] = []
    environment: dict[str, str] = {}
    healthcheck: dict[str, object] = {}
    depends_on: dict[str, dict[str, str]] = {}


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    """The services, with anchors and merges resolved."""
    parsed = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return TypeAdapter(dict[str, Service]).validate_python(parsed["services"])


def test_each_role_of_the_supervisor_is_a_service_with_the_same_command(services: dict[str, Service]) -> None:
    ours = {name: service.command for name, service in services.items() if service.image == "ganglion"}
    assert ours == {role.name: ["python", *role.arguments] for role in (PROVISION, *ROLES)}


@pytest.mark.parametrize("role", [PROVISION, *ROLES], ids=lambda role: role.name)
def test_every_command_names_a_module_that_runs(role: Role) -> None:
    module = role.arguments[1]
    spec = importlib.util.find_spec(module)
    assert spec is not None
    if spec.submodule_search_locations:
        assert importlib.util.find_spec(f"{module}.__main__") is not None
    else:
        assert spec.origin is not None
        assert '__name__ == "__main__"' in Path(spec.origin).read_text()


def test_the_roles_get_the_settings_that_the_supervisor_gives_them(services: dict[str, Service]) -> None:
    local = set(Addresses(1, "n", "d", "r", "s").environment({})) - {"PYTHONUNBUFFERED"}
    assert set(services["gateway"].environment) == local
    for name in ("provision", "consumers"):
        assert set(services[name].environment) == {"NATS_URL", "DATABASE_URL", "REDIS_URL"}


def test_no_secret_is_written_down_and_none_has_a_default(services: dict[str, Service]) -> None:
    secrets = [
        (service, name, value)
        for service, definition in services.items()
        for name, value in definition.environment.items()
        if re.search("PASSWORD|SECRET|_URL$", name)
    ]
    assert len(secrets) >= 12
    assert [entry for entry in secrets if not FROM_ENVIRONMENT.search(entry[2])] == []
    text = (ROOT / "compose.yaml").read_text()
    assert re.findall(r"://[^\s:/]*:(?!\$\{)[^@\s]+@", text) == []


def test_images_are_pinned_to_a_version(services: dict[str, Service]) -> None:
    tags = {s.image.partition(":")[2] for s in services.values() if s.image != "ganglion"}
    assert all(re.match(r"\d", tag) for tag in tags)
    bases = re.findall(r"^FROM (\S+)", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    assert all(re.search(r":\d", base) for base in bases)


def test_servers_are_waited_for_and_everything_but_provisioning_comes_back(services: dict[str, Service]) -> None:
    for name in ("nats", "postgres", "valkey", "gateway"):
        assert services[name].healthcheck["test"]
    for role in ROLES:
        waits = services[role.name].depends_on
        assert waits["provision"]["condition"] == "service_completed_successfully"
    restarts = {name: service.restart for name, service in services.items()}
    assert restarts.pop("provision") == "no"
    assert set(restarts.values()) == {"unless-stopped"}


def test_the_image_holds_what_the_roles_import_and_runs_as_nobody_in_particular() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    copied = set(re.findall(r"^COPY (\w+) \1$", dockerfile, re.MULTILINE))
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert copied == packages - {"bench", "tests"}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert allowed == copied | {"requirements.lock"}
    assert "--require-hashes" in dockerfile
    assert re.search(r"^USER [1-9]\d*$", dockerfile, re.MULTILINE)


def test_nats_server_accepts_the_configuration(tmp_path: Path) -> None:
    config = (ROOT / "deploy" / "nats.conf").read_text().replace('"/data"', f'"{tmp_path}"')
    (tmp_path / "nats.conf").write_text(config)
    command = [str(nats_server().path), "-t", "-c", str(tmp_path / "nats.conf")]

    def verdict(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - ours

    inherited = {name: value for name, value in os.environ.items() if name != "NATS_PASSWORD"}
    assert verdict({**inherited, "NATS_PASSWORD": "generated1"}).returncode == 0
    without = verdict(inherited)
    assert without.returncode != 0
    assert "NATS_PASSWORD" in without.stderr + without.stdout
