"""`python -m tests.support.stub_stack ROLE...`: the real supervisor and servers around stub roles."""

import sys

from deploy.local.roles import Role
from deploy.local.settings import StackSettings
from deploy.local.supervisor import up

NOTHING = Role("provision", ("-c", ""))


def main(names: list[str]) -> int:
    """Run until stopped; returns the exit code."""
    roles = [Role(name, ("-m", "tests.support.stub_roles", name), stop_within=5) for name in names]
    return up(StackSettings(), roles=roles, provision=NOTHING)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
