"""`python -m tests.simulation`: many seeds, one after the other; ends with 1 if anything that must hold did not."""

import argparse
import asyncio
import logging
import random
import sys
import time
from collections import Counter

import structlog
from redis.asyncio import Redis

from deploy.local.servers import Servers
from tests.simulation.run import simulate
from tests.support.infrastructure import server_folder


def main() -> None:
    """Play fresh seeds, or the given ones."""
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many seeds to draw")
    parser.add_argument("--seed", type=int, action="append", help="this seed; may be given several times")
    parser.add_argument("--kind", choices=("calm", "processes", "store"), help="the same for all, instead of drawn")
    parser.add_argument("--first", action="store_true", help="end with the first seed that is violated")
    parser.add_argument("--tell", action="store_true", help="print everything that happens")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    seeds = options.seed or [random.randrange(2**32) for _ in range(options.seeds)]
    sys.exit(1 if asyncio.run(_all(seeds, options)) else 0)


async def _all(seeds: list[int], options: argparse.Namespace) -> int:
    began, bad, kinds = time.monotonic(), 0, Counter[str]()
    with server_folder() as folder:
        async with Servers(folder, nats=False, postgres=False) as servers:
            redis = Redis.from_url(servers.valkey.url)
            for count, seed in enumerate(seeds, 1):
                report = await simulate(seed, redis, servers.valkey.url, options.kind, print if options.tell else None)
                kinds[report.kind] += 1
                kinds["tasks"] += report.tasks
                if report.problems:
                    bad += 1
                    sys.stdout.write(
                        f"VIOLATED seed {seed} ({report.kind}, number {count}): {'; '.join(report.problems)}\n"
                    )
                    sys.stdout.flush()
                    if options.first:
                        break
            await redis.aclose()
    took = time.monotonic() - began
    sys.stdout.write(f"{bad} violated of {count}, {dict(kinds)}, {took:.1f} s\n")
    return bad


if __name__ == "__main__":
    main()
