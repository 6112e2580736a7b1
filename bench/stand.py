"""One of the two stacks of `bench.paired`: carries through as many tasks as each line of its input says, and reports.

Run as a file, with the worktree to be measured as PYTHONPATH: everything it imports is that tree's.
"""

import asyncio
import sys

import orjson
import uvloop

from bench.endtoend import throughput
from bench.http import Requests
from bench.stack import Stack

_WARM_UP = 500


async def main() -> None:
    """Until the input ends."""
    async with Stack() as stack:
        requests = Requests(stack.host, stack.port, stack.token)
        await throughput(stack, requests, tasks=_WARM_UP, in_flight=64)
        _say({})
        while line := await asyncio.to_thread(sys.stdin.readline):
            done = await throughput(stack, requests, tasks=int(line), in_flight=256)
            _say({**done.cpu_us, "tasks a second": done.rate})


def _say(figures: dict[str, float]) -> None:
    sys.stdout.write(orjson.dumps(figures).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
