"""`python -m deploy.local up [--nats-nodes N] | wipe`: the stack without the `ganglion` command."""

import sys

from deploy.local.settings import StackSettings
from deploy.local.supervisor import up
from deploy.local.wipe import wipe
from events.errors import GanglionError


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit code."""
    try:
        match arguments:
            case ["up"]:
                return up(StackSettings.from_environment())
            case ["up", "--nats-nodes", ("1" | "3" | "5") as nodes]:
                return up(StackSettings.from_environment().model_copy(update={"nats_nodes": int(nodes)}))
            case ["wipe"]:
                wipe(StackSettings.from_environment().home)
                return 0
    except GanglionError as error:
        print(error, file=sys.stderr)
        return 1
    print("usage: python -m deploy.local up [--nats-nodes 1|3|5] | wipe", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
