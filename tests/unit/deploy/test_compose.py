"""compose.yaml, the image and nats.conf, checked as far as that goes without a container engine."""

import importlib.util
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, TypeAdapter

from deploy.dotenv import dotenv
from deploy.local.addresses import Addresses, EnginePlace
from deploy.local.binaries import nats_server
from deploy.local.nats import NatsSecrets
from deploy.local.postgres import COLLATION
from deploy.local.roles import ENGINE, PROVISION, ROLES, Role
from deploy.nats_conf import deployed
from gateway.agents.registry import PlaceSettings
from producers.permissions import users

ROOT = Path(__file__).parents[3]
FROM_ENVIRONMENT = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")


class Service(BaseModel):
    image: str
    restart: str
    command: list[str] = []
    environment: dict[str, str] = {}
    passed_on: set[str] = set()
    logging: dict[str, object] = {}
    healthcheck: dict[str, object] = {}
    depends_on: dict[str, dict[str, str]] = {}
    ports: list[str] = []


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    """The services, with anchors and merges resolved."""
    parsed = yaml.safe_load((ROOT / "compose.yaml").read_text())
    for service in parsed["services"].values():
        service["passed_on"] = {name for name, value in service.get("environment", {}).items() if value is None}
        service["environment"] = {name: value for name, value in service.get("environment", {}).items() if value}
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
    everyone = {"NATS_URL", "NATS_PASSWORDS", "DATABASE_URL", "REDIS_URL"}
    nats = NatsSecrets(dict.fromkeys(users(), "p"), "s", "r")
    place = EnginePlace("http://127.0.0.1:1", "/p", "t")
    addresses = Addresses(1, "nats://h:1", "d", "r", "s", "k", nats, place, metrics_port=1)
    engine = addresses.engine_environment({})
    assert set(services[ENGINE.name].environment) == set(engine) - {"PYTHONUNBUFFERED"}
    for role in {PROVISION, *ROLES} - {ENGINE}:
        given = services[role.name].environment
        local = addresses.environment({}, role.nats_users)
        expected = set(local) - {"PYTHONUNBUFFERED"} if role.name == "gateway" else everyone
        told = {name for name in local if name.startswith(("SPEC_ENGINE_", "GANGLION_SEAL_", "GANGLION_METRICS_"))}
        if "GANGLION_METRICS_PORT" in told:
            told.add("GANGLION_HOST")  # of all containers, or nobody outside of it could scrape
        if role.name == "gateway":
            told.add("GANGLION_PUBLIC_NATS_URL")  # the address that containers know means nothing outside of them
        assert set(given) == expected | told
        assert (
            set(json.loads(given["NATS_PASSWORDS"])) == set(role.nats_users) == set(json.loads(local["NATS_PASSWORDS"]))
        )


def test_who_is_outside_reaches_the_gateway_and_nats_from_this_machine_and_nothing_else(
    services: dict[str, Service],
) -> None:
    published = {name: service.ports for name, service in services.items() if service.ports}
    assert published == {
        "gateway": ["127.0.0.1:${GANGLION_PORT:-8080}:8080"],
        "nats": ["127.0.0.1:${NATS_PORT:-4222}:4222"],
    }
    assert services["gateway"].environment["GANGLION_PORT"] == "8080"
    assert 'listen: "0.0.0.0:4222"' in (ROOT / "deploy" / "nats.conf").read_text()


def test_agents_are_told_where_nats_is_published(services: dict[str, Service], monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = services["nats"].ports
    told = services["gateway"].environment["GANGLION_PUBLIC_NATS_URL"]
    assert told == f"nats://{port.removesuffix(':4222')}"
    monkeypatch.setenv("GANGLION_PUBLIC_NATS_URL", told)
    assert PlaceSettings().public_nats_url == told


def test_no_secret_is_written_down_and_none_has_a_default(services: dict[str, Service]) -> None:
    secrets = [
        (service, name, value)
        for service, definition in services.items()
        for name, value in definition.environment.items()
        if re.search("PASSWORD|SECRET|SEED|(DATABASE|REDIS)_URL$", name)
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


def test_postgres_is_healthy_only_where_others_reach_it(services: dict[str, Service]) -> None:
    test = services["postgres"].healthcheck["test"]
    assert isinstance(test, list)
    assert test[test.index("-h") + 1] == "127.0.0.1"


def test_a_new_cluster_is_made_as_the_embedded_one_which_every_start_tries(services: dict[str, Service]) -> None:
    assert services["postgres"].environment["POSTGRES_INITDB_ARGS"].split() == list(COLLATION)


def test_valkey_is_started_as_its_image_expects_or_it_would_run_as_root(services: dict[str, Service]) -> None:
    assert services["valkey"].command[0] == "valkey-server"


def test_the_image_holds_what_the_roles_import_and_runs_as_nobody_in_particular() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    copied = set(re.findall(r"^COPY (\w+) \1$", dockerfile, re.MULTILINE))
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert copied == packages - {"bench", "tests"}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert allowed == copied | {"requirements.lock"}
    assert "--require-hashes" in dockerfile
    assert re.search(r"^USER [1-9]\d*$", dockerfile, re.MULTILINE)


def test_the_configuration_of_nats_is_the_one_that_the_permissions_make() -> None:
    fresh = "stale: run `python -m deploy.nats_conf > deploy/nats.conf`"
    assert (ROOT / "deploy" / "nats.conf").read_text() == deployed(), fresh


def test_nats_server_accepts_the_configuration_with_drawn_secrets_and_not_without_one(tmp_path: Path) -> None:
    config = (ROOT / "deploy" / "nats.conf").read_text().replace('"/data"', f'"{tmp_path}"')
    (tmp_path / "nats.conf").write_text(config)
    command = [str(nats_server().path), "-t", "-c", str(tmp_path / "nats.conf")]

    def verdict(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - ours

    drawn = dict(line.split("=", 1) for line in dotenv().splitlines())
    accepted = verdict(drawn)
    assert accepted.returncode == 0, accepted.stderr
    without = verdict({name: value for name, value in drawn.items() if name != "NATS_PASSWORD_REFLEX"})
    assert without.returncode != 0
    assert "NATS_PASSWORD_REFLEX" in without.stderr + without.stdout


def test_dotenv_draws_all_that_compose_asks_for() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+):\?", (ROOT / "compose.yaml").read_text()))
    drawn = [dict(line.split("=", 1) for line in dotenv().splitlines()) for _ in range(2)]
    assert asked == set(drawn[0])
    assert not set(drawn[0].values()) & set(drawn[1].values())


def test_the_model_and_the_collector_of_the_operator_are_passed_on(services: dict[str, Service]) -> None:
    passed = {"LLM_BASE_URL", "LLM_MODEL", "LLM_API_KEY", "OTEL_EXPORTER_OTLP_ENDPOINT"}
    assert {name: service.passed_on for name, service in services.items() if service.passed_on} == {
        "consumers": passed,
        "engine": passed,
    }


def test_no_log_grows_without_a_bound(services: dict[str, Service]) -> None:
    bounded = {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}
    assert {name: service.logging for name, service in services.items()} == dict.fromkeys(services, bounded)
