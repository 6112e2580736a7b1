"""`ganglion token` mints what the gateway knows; wrong settings are named before anything is started."""

from pathlib import Path

import jwt
import pytest
from typer.testing import CliRunner, Result

from cli.command import app
from cli.errors import CommandError

SECRET = "a secret of thirty-two characters"


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANGLION_HOME", str(tmp_path))
    monkeypatch.setenv("GANGLION_JWT_SECRET", SECRET)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["token", "--owner", "ann", *arguments])


def test_the_scopes_that_were_asked_for_are_in_the_token() -> None:
    done = run("--scope", "tasks:read", "--scope", "agents:write")
    claims = jwt.decode(done.stdout.strip(), SECRET, algorithms=["HS256"], audience="ganglion")
    assert claims["scope"] == "tasks:read agents:write"


@pytest.mark.parametrize("scope", ["tasks:reed", "tasks:read,tasks:write", "*", "", " "])
def test_a_scope_that_nothing_asks_for_is_misuse(scope: str) -> None:
    done = run("--scope", scope)
    assert done.exit_code == 2
    assert "agents:write" in done.output  # those that exist are named
    assert "ey" not in done.stdout


@pytest.mark.parametrize("name", ["*", "a.b", "", "_"])
def test_a_tenant_that_no_token_can_name_is_misuse(name: str) -> None:
    done = run("--tenant", name)
    assert (done.exit_code, "--tenant" in done.output) == (2, True), done.output


@pytest.mark.parametrize("ttl", ["0", "-5", "inf", "nan", "1e30", "soon"])
def test_a_lifetime_that_no_token_can_have_is_misuse(ttl: str) -> None:
    done = run("--ttl", ttl)
    assert (done.exit_code, "--ttl" in done.output) == (2, True), done.output


@pytest.mark.parametrize("arguments", [["up"], ["token", "--owner", "ann"]])
def test_a_wrong_variable_is_named_without_a_traceback(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANGLION_PORT", "eighty")
    with pytest.raises(CommandError, match=r"^GANGLION_PORT: ") as caught:
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert caught.value.exit_code == 2


def test_a_cluster_of_two_is_misuse() -> None:
    done = CliRunner().invoke(app, ["up", "--nats-nodes", "2"])
    assert (done.exit_code, "3 or 5" in done.output) == (2, True)
