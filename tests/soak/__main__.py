"""`python -m tests.soak`: the long form; writes docs/reliability.md's table, ends with 1 if anything did not fit."""

import argparse
import asyncio
import random
import sys
from pathlib import Path

from tests.soak.run import Plan, Result, soak
from tests.support.stack_parts import running_parts

_REPORT = Path(".ganglion/soak.md")
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
    parser.add_argument("--into", type=Path, default=_REPORT, help="the Markdown file to write")
    options = vars(parser.parse_args())
    into: Path = options.pop("into")
    plan = Plan(stay=30.0, **options)
    sys.stdout.write(f"{plan}\n")
    sys.stdout.flush()
    result = asyncio.run(_run(plan))
    report = f"{_TABLE}\n{_row(plan, result)}\n"
    into.parent.mkdir(parents=True, exist_ok=True)
    into.write_text(report)
    faults = "".join(f"{fault}\n" for fault in result.verdict.faults[:20])
    sys.stdout.write(f"{faults}{_more(plan, result)}\n\n{report}\nwritten to {into}, for docs/reliability.md\n")
    sys.exit(1 if result.verdict.faults or result.verdict.gaps else 0)


async def _run(plan: Plan) -> Result:
    async with running_parts() as parts:
        return await soak(parts, plan)


def _more(plan: Plan, result: Result) -> str:
    refused = ", ".join(f"{count} {code}" for code, count in sorted(result.refused.items())) or "nothing"
    return (
        f"seed {plan.seed}; {result.tasks:,} tasks; {result.verdict.pieces_heard:,} pieces of speech heard; "
        f"refused: {refused}; everybody agreed {result.settled_after:.1f} s after the last task's end"
    )


def _row(plan: Plan, result: Result) -> str:
    verdict = result.verdict
    cells = (
        f"{plan.subscribers:,}",
        f"{plan.seconds / 60:.3g}",
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
