"""Where outside agents may be called: nothing inside, whatever way it is written."""

from ipaddress import ip_address

import pytest
from pydantic import ValidationError

from events.endpoints import EndpointForbiddenError, EndpointRules, EndpointSettings

PUBLIC = ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14", "2002:5db8:d70e::1")
INSIDE = (
    *("127.0.0.1", "127.9.9.9", "0.1.2.3", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "100.100.100.200"),
    *("169.254.169.254", "168.63.129.16", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "fec0::1"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::1"),
    *("::127.0.0.1", "2001:0:5ef5:79fb:0:0:80ff:fffe"),
)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_called(address: str) -> None:
    assert EndpointRules.of().permits("agent.example", ip_address(address))


@pytest.mark.parametrize("address", INSIDE)
def test_no_address_inside_may_be_called(address: str) -> None:
    assert not EndpointRules.of().permits("agent.example", ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        *("http://agent.example", "ftp://agent.example", "agent.example", "", "https://", "https:///task", "https://["),
        *("https://me:secret@agent.example", "https://agent.example/?to=1", "https://agent.example/#a", "https://a b"),
        *("https://127.0.0.1", "https://[::1]:8443", "https://169.254.169.254/latest", "https://agent.example:99999"),
        *("https://ägent.example", "https://agent..example", "https://-a.example", "https://[fe80::1%25eth0]/"),
        *("https://agent.example\t", "https://agent.example?", "https://agent.example:port"),
    ],
)
def test_what_can_be_refused_by_its_url_is(url: str) -> None:
    with pytest.raises(EndpointForbiddenError):
        EndpointRules.of().check(url)


def test_an_https_url_of_a_name_is_taken_apart() -> None:
    assert EndpointRules.of().check("https://Agent.Example./base/") == ("https", "agent.example", 443, "/base")
    assert EndpointRules.of().check("https://agent.example:8443") == ("https", "agent.example", 8443, "")


def test_a_setting_allows_named_hosts_and_networks_and_no_others() -> None:
    rules = EndpointRules.of(["127.0.0.0/8", "::1", "agent.internal"])
    assert rules.check("http://127.0.0.1:9000/x") == ("http", "127.0.0.1", 9000, "/x")
    assert rules.check("http://[::1]:9000") == ("http", "::1", 9000, "")
    assert rules.check("http://Agent.Internal").host == "agent.internal"
    assert rules.permits("agent.internal", ip_address("10.0.0.1"))
    assert rules.permits("some.name", ip_address("::ffff:127.0.0.1"))
    assert not rules.permits("some.name", ip_address("10.0.0.1"))
    for url in ("http://some.name", "http://10.0.0.1", "https://10.0.0.1"):
        with pytest.raises(EndpointForbiddenError):
            rules.check(url)


def test_a_setting_that_cannot_be_read_is_refused() -> None:
    for wrong in ("10.0.0.1/8", "https://agent.internal", "a b", ""):
        with pytest.raises(ValidationError):
            EndpointSettings(allow=(wrong,))
