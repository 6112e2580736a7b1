"""`python -m deploy.local up`: the stack without the `ganglion` command."""

import sys

from deploy.local.settings import StackSettings
from deploy.local.supervisor import up


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit code."""
    if arguments == ["up"]:
        return up(StackSettings())
    print("usage: python -m deploy.local up", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
