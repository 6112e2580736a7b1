"""The processes of Ganglion, in the order in which they are stopped."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    """One child process: `python ARGUMENTS`, given `stop_within` seconds to finish what it has in hand."""

    name: str
    arguments: tuple[str, ...]
    stop_within: float = 20.0


PROVISION = Role("provision", ("-m", "deploy.provision"))
"""Runs once, to its end, before the others."""

ROLES = (
    Role("gateway", ("-m", "gateway")),
    Role("consumers", ("-m", "consumers")),
)
