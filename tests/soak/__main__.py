"""`python -m tests.soak`: the long form; prints a row of docs/reliability.md, ends with 1 if anything did not fit."""

import argparse
import asyncio
import random
import sys

from tests.soak.run import Plan, Result, soak
from tests.support.stack_parts import running_parts

_TABLE = (
    "| subscribers | minutes | gateways killed | connections | events delivered | missed, doubled, out of order | gaps "
    "| broken speech | memory of a gateway |\n|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Run one plan."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--subscribers", type=int, default=1_000)
    parser.add_argument("--owners", type=int, default=50)
    parser.add_argument("--tasks-per-second", type=float, default=5)
    parser.add_argument("--gateways", type=int, default=3)
    parser.add_argument("--between-kills", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    plan = Plan(stay=30.0, **vars(options))
    sys.stdout.write(f"{plan}\n")
    sys.stdout.flush()
    result = asyncio.run(_run(plan))
    sys.stdout.write(f"{result}\n{_TABLE}\n{_row(plan, result)}\n")
    sys.exit(1 if result.verdict.faults else 0)


async def _run(plan: Plan) -> Result:
    async with running_parts() as parts:
        return await soak(parts, plan)


def _row(plan: Plan, result: Result) -> str:
    verdict = result.verdict
    cells = (
        f"{plan.subscribers:,}",
        f"{plan.seconds / 60:g}",
        ", ".join(f"{count} {how}" for how, count in sorted(result.kills.items())),
        f"{verdict.connections:,}",
        f"{verdict.deliveries:,}",
        len(verdict.faults),
        verdict.gaps,
        verdict.torn_speech,
        f"{result.rss_mib:.0f} MiB",
    )
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
