"""IP addresses by the standard library's parser, and e-mail domains that could be registered."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping


def ip(text: str) -> bool:
    """An IPv4 or IPv6 address, with or without a prefix length; not a bare `::` of some programming language."""
    host = text.partition("/")[0].partition("%")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.version == 4 or sum(char not in ":0" for char in host) >= 1


def email(text: str) -> bool:
    """A mailbox whose parts have the lengths of RFC 5321 and whose labels can exist (IDN included)."""
    local, _, domain = text.rpartition("@")
    labels = domain.split(".")
    if not 1 <= len(local) <= 64 or len(domain) > 253 or len(labels) < 2:
        return False
    if local[0] == "." or local[-1] == "." or ".." in local or labels[-1].isdigit():
        return False
    return all(1 <= len(label) <= 63 and label[0] != "-" and label[-1] != "-" for label in labels)


VALIDATORS: Mapping[str, Callable[[str], bool]] = {"ip": ip, "email": email}
