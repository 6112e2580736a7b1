"""What the four roles of the second document may do (002.1 3.3.TEN): one table, from roles to scopes."""

READ = "tasks:read"
WRITE = "tasks:write"
AGENTS = "agents:write"
"""The scope to register agents: whoever has it sees the work of the whole tenant."""
TENANT = "tenant"
ADMIN = "admin"

_ALL = frozenset({READ, WRITE, AGENTS, TENANT, ADMIN})

ROLES: dict[str, frozenset[str]] = {
    "viewer": frozenset({READ}),
    "member": frozenset({READ, WRITE}),
    "lead": frozenset({READ, WRITE, AGENTS, TENANT}),
    "admin": _ALL,
}
"""Each may do what the one before it may, and more."""


def granted(role: object, scopes: frozenset[str] | None) -> frozenset[str]:
    """What a token may do. A role grants its scopes, and no more than those where the token names scopes too.

    Without a role, or with one of somebody else's, it is the scopes that count.
    """
    of_role = ROLES.get(role) if isinstance(role, str) else None
    if of_role is None:
        return scopes or frozenset()
    if scopes is None:
        return of_role
    return of_role & (_ALL if ADMIN in scopes else scopes)
