"""What a campaign found, as lines for people and for docs/reliability.md."""

import os
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime

from tests.chaos.campaign import Report

_SHOWN = 5
_TABLE = (
    "| seed | sweep | accepted | faults | lost | doubled | gaps | re-sends | longest recovery | violations |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def lines(report: Report) -> list[str]:
    """The figures, then every problem with its first examples."""
    plan, verdict, faults = report.plan, report.verdict, report.faults
    answers = ", ".join(f"{answer}: {count}" for answer, count in sorted(report.refused.items()))
    kinds = ", ".join(f"{name} {count}" for name, count in sorted(faults.items()))
    told = [
        f"seed {plan.seed}, sweep {_on(plan.sweep)}, {report.took:.0f} s",
        f"  accepted {verdict.accepted}, terminal {verdict.terminal}",
        f"  without any answer {verdict.unknown}, excused by a lost log {verdict.exempt}",
        f"  not accepted at once: {answers or 'nothing'}",
        f"  faults {faults.total()}: {kinds}",
        f"  lost {len(verdict.lost)}, doubled {len(verdict.doubled)}, re-sends {report.resent}",
        f"  agents called again under the same run {verdict.recalled}",
        f"  gaps {verdict.gaps}, repeats recognised {verdict.repeats}, told of a gap {verdict.cut_short}",
        f"  steps of divided tasks {verdict.steps}, tasks that waited for another {verdict.waits}",
        f"  turns of conversations {verdict.turns}, places written in contexts {verdict.places}",
        f"  done by somebody else's agent {verdict.outside}",
        f"  longest recovery {report.longest_recovery:.1f} s, drained in {report.drained_in:.1f} s",
    ]
    slowest = ", ".join(f"{name} {seconds:.1f} s" for seconds, name in sorted(report.recoveries, reverse=True)[:_SHOWN])
    told.append(f"  slowest to recover from: {slowest or 'not waited for'}")
    for name, found in report.problems.items():
        told.append(f"  VIOLATED {name}: {len(found)}")
        told += [f"    {one}" for one in found[:_SHOWN]]
    return told


def table(reports: Sequence[Report]) -> str:
    """The table in docs/reliability.md."""
    return "\n".join([_TABLE, *map(_row, reports)]) + "\n"


def markdown(reports: Sequence[Report]) -> str:
    """Date, commit, machine, the table, and every campaign's own figures, as docs/reliability.md has them."""
    cores, load = os.cpu_count(), os.getloadavg()[2]
    accepted = sum(report.verdict.accepted for report in reports)
    faults = sum(report.faults.total() for report in reports)
    said = [
        f"### Campaigns of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {_commit()}",
        "",
        f"{cores} cores, load {load:.1f} at the end. {accepted:,} requests accepted, {faults} faults.",
        "",
        table(reports),
        "```text",
        *[line for report in reports for line in lines(report)],
        "```",
    ]
    return "\n".join(said) + "\n"


def _commit() -> str:
    git = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "unknown"  # noqa: S603 - fixed words


def _row(report: Report) -> str:
    plan, verdict = report.plan, report.verdict
    cells = (
        plan.seed,
        _on(plan.sweep),
        verdict.accepted,
        report.faults.total(),
        len(verdict.lost),
        len(verdict.doubled),
        verdict.gaps,
        report.resent,
        f"{report.longest_recovery:.1f} s",
        len(report.problems),
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def _on(flag: bool) -> str:  # noqa: FBT001 - it is the whole question
    return "on" if flag else "off"
