"""`python -m tests.chaos`: campaigns at full length; ends with 1 if anything that must hold did not."""

import argparse
import asyncio
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.chaos.campaign import Plan, Report, run
from tests.chaos.clocks import faketime
from tests.chaos.faults import ALL, CLOCK, LEADERS, OUTSIDE, PROCESSES_ONLY, Fault
from tests.chaos.report import lines, markdown, table


def main() -> None:
    """Run every seed with the sweep on, and once more without it where only processes and links fail."""
    options = _options()
    seeds = options.seed or [random.randrange(2**32) for _ in range(options.seeds)]
    sys.stdout.write("power cuts: not run: LazyFS, which drops what was not fsynced, is in no package to install\n")
    if faketime() is None:
        sys.stdout.write("clock skew: not run: Debian's faketime is not installed\n")
    reports: list[Report] = []
    for seed in seeds:
        for report in _both(seed, options):
            reports.append(report)
            if options.markdown is not None:  # as far as it got: a campaign is long
                options.markdown.parent.mkdir(parents=True, exist_ok=True)
                options.markdown.write_text(markdown(reports))
    sys.stdout.write(table(reports))
    sys.exit(1 if any(report.problems for report in reports) else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--requests", type=int, default=5_000)
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds to draw")
    parser.add_argument("--seed", type=int, action="append", help="this seed; may be given several times")
    parser.add_argument("--per-second", type=float, default=30.0)
    parser.add_argument("--sweep", choices=("both", "on", "off"), default="both")
    parser.add_argument("--clocks", action="store_true", help="set the clocks of roles wrong, and nothing else")
    parser.add_argument("--all-kinds", action="store_true", help="faults of the store without the sweep, too")
    parser.add_argument("--markdown", type=Path, help="write what goes into docs/reliability.md to this file")
    parser.add_argument("--only", action="append", help="only faults whose names contain this")
    return parser.parse_args()


def _both(seed: int, options: argparse.Namespace) -> Iterator[Report]:
    for sweep, kinds in ((True, ALL + LEADERS + OUTSIDE), (False, PROCESSES_ONLY + LEADERS + OUTSIDE)):
        if options.sweep != "both" and (options.sweep == "on") != sweep:
            continue
        chosen = CLOCK if options.clocks else ALL if options.all_kinds else kinds
        faults = _drawn(seed, options.faults, _chosen(chosen, options.only))
        plan = Plan(options.requests, options.per_second, faults, seed, sweep, outsider=not options.clocks)
        report = asyncio.run(run(plan))
        sys.stdout.write("\n".join(lines(report)) + "\n")
        sys.stdout.flush()
        yield report


def _chosen(kinds: Sequence[Fault], only: Sequence[str] | None) -> Sequence[Fault]:
    return [fault for fault in kinds if not only or any(part in fault.name for part in only)]


def _drawn(seed: int, count: int, kinds: Sequence[Fault]) -> list[Fault]:
    """Every kind about equally often."""
    dice = random.Random(seed)
    rounds = [fault for _ in range(count // len(kinds) + 1) for fault in dice.sample(list(kinds), len(kinds))]
    return rounds[:count]


if __name__ == "__main__":
    assert Path("pyproject.toml").exists(), "run it from the project's folder"
    main()
