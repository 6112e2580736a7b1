"""What a campaign found, as lines for people and for docs/reliability.md."""

from tests.chaos.campaign import Report

_SHOWN = 5


def lines(report: Report) -> list[str]:
    """The figures, then every problem with its first examples."""
    plan, verdict, faults = report.plan, report.verdict, report.faults
    answers = ", ".join(f"{status or 'none'}: {count}" for status, count in sorted(report.refused.items()))
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
        f"  longest recovery {report.longest_recovery:.1f} s, drained in {report.drained_in:.1f} s",
    ]
    for name, found in report.problems.items():
        told.append(f"  VIOLATED {name}: {len(found)}")
        told += [f"    {one}" for one in found[:_SHOWN]]
    return told


def table_row(report: Report) -> str:
    """One row of the table in docs/reliability.md."""
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
