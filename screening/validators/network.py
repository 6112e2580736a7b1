"""IP addresses by the standard library's parser, and e-mail domains that could be registered."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

_PICTURES = frozenset({"png", "jpg", "jpeg", "gif", "webp", "svg", "avif", "css", "html"})
"""What ends in these is a file (`logo@2x.png`): there are no such top-level domains."""


def ip(text: str) -> int:
    """An IPv4 or IPv6 address, with or without a prefix length; not a bare `::` of some programming language.

    A port behind an IPv4 address is left out: the answer is how much of `text` is the address, with the label `IPv6:`.
    """
    label = 5 if text[:5].lower() == "ipv6:" else 0
    written = text.partition(":")[0] if "." in text and text.count(":") == 1 else text
    host = written[label:].partition("/")[0].partition("%")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return 0
    if address.version == 6 and (("::" in host and not host.strip(":0")) or _pairs(host)):
        return 0
    return len(written)


def _pairs(host: str) -> bool:
    """Whether it is eight times two digits: a long hardware address rather than one of the network."""
    return len(host) == 23 and all(len(group) == 2 for group in host.split(":"))


_BEHIND = 60
"""Characters behind the colon in which a path begins, if it is one."""


def email(text: str) -> int:
    """A mailbox whose parts have the lengths of RFC 5321 and whose labels can exist (IDN included).

    Its sign may be escaped (`%40`), as in a URL.
    What follows a colon is left out (`name@example.com:password`): the answer is how many bytes of `text` it is. With a
    path behind the colon it is where a repository lies.
    """
    at = "@" if "@" in text else "%40"
    local, _, rest = text.rpartition(at)
    domain, _, behind = rest.partition(":")
    domain = domain.rstrip("_")
    labels = domain.split(".")
    if not 1 <= len(local) <= 64 or len(domain) > 253 or len(labels) < 2 or "/" in behind[:_BEHIND]:
        return 0
    if local[0] == "." or local[-1] == "." or ".." in local or labels[-1].isdigit() or labels[-1].lower() in _PICTURES:
        return 0
    if len(labels) > 2 and labels[0].isdigit() and labels[1].isdigit():
        return 0  # the version of a package
    if not all(1 <= len(label) <= 63 and label[0] != "-" and label[-1] != "-" for label in labels):
        return 0
    return len(f"{local}{at}{domain}".encode())


def mac(text: str) -> bool:
    """Six pairs or three groups of four: more of them are a fingerprint, fewer nothing."""
    return len(text) == (14 if "." in text else 17)


VALIDATORS: Mapping[str, Callable[[str], int]] = {"ip": ip, "email": email, "mac": mac}
