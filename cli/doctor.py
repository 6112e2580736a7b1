"""`ganglion doctor`: how safe, how full and how far behind everything is, and what to do about it."""

import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import typer
from rich.text import Text

from cli.client import Document, Gateway
from cli.errors import FAILED
from cli.session import Session, run

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
_ORDER = ("fail", "warn", "ok")
_LEAST_FREE = 2 * 1024**3
_SYNC = re.compile(r"^\s*sync_interval:\s*(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Result:
    """One check: its level, what was found, and what to do."""

    name: str
    level: str
    detail: str
    advice: str | None = None


def doctor(context: typer.Context) -> None:
    """Look at durability, drift, lag, dead letters, disk and clocks; exit code 1 if anything is wrong."""
    run(_examine(Session.of(context)))


async def _examine(session: Session) -> int:
    async with Gateway(session.place) as gateway:
        readiness = await gateway.readiness()
    results = [*_of_gateway(readiness), *of_home(session.settings.home)]
    failed = any(result.level == "fail" for result in results)
    if session.output.is_json:
        checks: Document = {
            one.name: {"level": one.level, "detail": one.detail, "advice": one.advice} for one in results
        }
        session.output.document({"status": readiness.get("status"), "checks": checks})
        return FAILED if failed else 0
    session.output.line(f"{session.place.url}  {readiness.get('status', 'unknown')}")
    for result in sorted(results, key=lambda one: _ORDER.index(one.level)):
        session.output.line(
            Text.assemble((f"{result.level:5}", _COLOURS[result.level]), f"{result.name:13} {result.detail}")
        )
        if result.advice:
            session.output.line(f"      -> {result.advice}")
    return FAILED if failed else 0


def _of_gateway(readiness: Document) -> list[Result]:
    checks = readiness.get("checks")
    results = [
        _result(name, check)
        for name, check in (checks.items() if isinstance(checks, dict) else ())
        if isinstance(check, dict)
    ]
    if any(one.level == "fail" and one.name in _UNDER_THE_KEEPER for one in results):
        return [replace(one, advice=_WAITING) if one.name == "keeper" and one.advice else one for one in results]
    return results


def _result(name: str, check: Document) -> Result:
    """A check with a level of its own, or one that is fine or not."""
    level = str(check.get("level") or ("ok" if check.get("ok") else "fail"))
    advice = check.get("advice")
    if advice is None and level == "fail":
        advice = _ADVICE.get(name)
    return Result(name, level, str(check.get("detail") or _figures(check)), str(advice) if advice else None)


_ADVICE = {
    "nats": "start nats-server, or see NATS_URL; accepted work is kept in Postgres",
    "postgres": "start Postgres, or see DATABASE_URL; work is taken into the log meanwhile",
    "keeper": "start a keeper: `python -m consumers keeper`",
    "hub": "the gateway reconnects by itself; see its log if it does not",
}
_UNDER_THE_KEEPER = {"nats", "postgres"}
_WAITING = "it goes on by itself when NATS and Postgres are there"


def _figures(check: Document) -> str:
    shown = [f"{check['ms']} ms"] if check.get("ms") is not None else []
    if check.get("lag_seconds") is not None:
        shown.append(f"lag {check['lag_seconds']} s")
    return ", ".join(shown) or "answers"


def of_home(home: Path) -> list[Result]:
    """What can be seen on this machine only: the disk of a local stack, and how its log is really fsynced."""
    if not home.is_dir():
        return []
    free = shutil.disk_usage(home).free
    disk = f"{free / 1024**3:.1f} GiB free below {home}"
    if free < _LEAST_FREE:
        results = [Result("disk", "fail", disk, "make room: a full disk stops Postgres and the log")]
    else:
        results = [Result("disk", "ok", disk)]
    sync = _log_sync(home / "nats" / "nats.conf")
    if sync is not None:
        results.append(Result("log_fsync", "ok", "with every write" if sync == "always" else f"every {sync}"))
    return results


def _log_sync(config: Path) -> str | None:
    """How the embedded server flushes; its configuration may be for its own eyes only."""
    try:
        found = _SYNC.search(config.read_text())
    except OSError:
        return None
    return found[1] if found else None
