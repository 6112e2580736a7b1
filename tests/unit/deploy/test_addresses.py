"""Where the gateway listens, and where a client on the same machine finds it."""

from dataclasses import replace

import pytest

from deploy.local.addresses import Addresses, EnginePlace
from deploy.local.ports import LOOPBACK
from deploy.local.roles import ENGINE, PROVISION, ROLES


def addresses(host: str = LOOPBACK) -> Addresses:
    return Addresses(8080, "nats://n", "postgresql://p", "redis://r", "secret", metrics_port=9464, host=host)


def test_the_roles_listen_where_the_environment_says() -> None:
    told = addresses(host="0.0.0.0").environment({"GANGLION_HOST": "0.0.0.0"}, ("gateway",))  # noqa: S104 - the case
    assert told["GANGLION_HOST"] == "0.0.0.0"  # noqa: S104 - as above
    assert addresses().environment({}, ("gateway",))["GANGLION_HOST"] == LOOPBACK


@pytest.mark.parametrize("inherited", [{}, {"GANGLION_JWT_SECRET": "theirs"}], ids=["ours", "theirs"])
def test_only_the_gateway_holds_what_tokens_are_signed_with(inherited: dict[str, str]) -> None:
    given = {role.name: addresses().environment(inherited, role.nats_users) for role in (PROVISION, *ROLES)}
    given[ENGINE.name] = replace(addresses(), engine=EnginePlace("http://h:1", "/p", "t")).engine_environment(inherited)
    assert {name for name, told in given.items() if "GANGLION_JWT_SECRET" in told} == {"gateway"}
    assert given["gateway"]["GANGLION_JWT_SECRET"] == "secret"


@pytest.mark.parametrize(
    ("host", "dialled"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - nobody can dial it
        ("192.0.2.7", "192.0.2.7"),
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("box.example", "box.example"),
    ],
)
def test_a_client_is_told_an_address_that_it_can_dial(host: str, dialled: str) -> None:
    found = addresses(host=host)
    assert (found.gateway_url, found.metrics_url) == (f"http://{dialled}:8080", f"http://{dialled}:9464/metrics")
