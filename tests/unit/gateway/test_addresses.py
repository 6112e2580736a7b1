"""Whose address a request has, behind proxies that are trusted and proxies that are not."""

from ipaddress import ip_network

import pytest
from pydantic import ValidationError
from starlette.types import Scope

from events.settings import settings_explained
from gateway.auth.addresses import UNKNOWN, AddressSettings, address_of

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def scope(peer: str | None, *forwarded: str) -> Scope:
    headers = [(b"x-forwarded-for", said.encode("latin-1")) for said in forwarded]
    return {"type": "http", "client": None if peer is None else (peer, 1), "headers": headers}


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # who is not trusted says what it likes
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1", "10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.7, 198.51.100.1"], "198.51.100.1"),  # the first was written by the client
        ("10.0.0.1", ["10.9.9.9, 10.0.0.2"], "10.9.9.9"),
        ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("fd00::1", ["[2001:db8:1:2:3::4]:4711"], "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::4", [], "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", [], "203.0.113.9"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fe80::1%eth0", [], "fe80::/64"),
        (None, ["198.51.100.1"], UNKNOWN),
        ("a socket in the file system", [], UNKNOWN),
    ],
)
def test_the_client_is_the_first_from_the_end_who_is_not_trusted(
    peer: str | None, forwarded: list[str], address: str
) -> None:
    assert address_of(scope(peer, *forwarded), PROXIES) == address


def test_without_trusted_proxies_the_header_is_not_read() -> None:
    assert address_of(scope("10.0.0.1", "198.51.100.1"), ()) == "10.0.0.1"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("10.0.0.0/8", "GANGLION_TRUSTED_PROXIES: it is not the JSON that it ought to be"),
        ('["10.0.0.0/8", "everybody"]', "GANGLION_TRUSTED_PROXIES: value is not a valid IPv4 or IPv6 network"),
    ],
)
def test_proxies_that_are_none_are_named_in_one_line(monkeypatch: pytest.MonkeyPatch, value: str, said: str) -> None:
    monkeypatch.setenv("GANGLION_TRUSTED_PROXIES", value)
    with pytest.raises(SystemExit) as ended, settings_explained():
        AddressSettings()
    assert str(ended.value) == said


def test_a_tier_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValidationError):
        AddressSettings.model_validate({"address_tier": "vast"})
