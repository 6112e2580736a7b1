"""The processes of Ganglion, in the order in which they are stopped."""

from dataclasses import dataclass

from producers.permissions import ADMIN, CALLOUT, GATEWAY, users


@dataclass(frozen=True)
class Role:
    """One child process: `python ARGUMENTS`, given `stop_within` seconds to finish what it has in hand.

    `nats_users` are the users of NATS that it connects as (producers/permissions.py).
    """

    name: str
    arguments: tuple[str, ...]
    stop_within: float = 20.0
    nats_users: tuple[str, ...] = ()


_CONSUMERS = tuple(user for user in users() if user not in {ADMIN, GATEWAY, CALLOUT})

PROVISION = Role("provision", ("-m", "deploy.provision"), nats_users=(ADMIN,))
"""Runs once, to its end, before the others."""

ENGINE = Role("engine", ("-m", "engine"))
"""The built-in spec engine; left out when `SPEC_ENGINE_URL` names another one."""

ROLES = (
    Role("gateway", ("-m", "gateway"), nats_users=(GATEWAY, CALLOUT)),
    Role("consumers", ("-m", "consumers"), nats_users=_CONSUMERS),
    ENGINE,
)
