"""`ganglion screen`: what the reflex layer makes of a text, offline."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.text import Text

from cli.errors import BLOCKED, FAILED, MISUSED, CommandError
from cli.output import Output
from cli.session import Session
from cli.standard_input import all_of_it, standard_input

if TYPE_CHECKING:
    from screening import Screener, Verdict

_COLUMNS = ("family", "type", "severity", "from", "to", "confidence")
_COLOURS = {"block": "red", "redact": "yellow", "allow": "green"}


def screen(
    context: typer.Context,
    text: Annotated[str | None, typer.Argument(help="The text, or - to read standard input.")] = None,
    *,
    jsonl: Annotated[bool, typer.Option("--jsonl", help='Read lines {"text"}, write a line for each.')] = False,
    kind: Annotated[str, typer.Option(help="Whose policy: goal, subtask, turn, refinement, output …")] = "goal",
    tenant: Annotated[str, typer.Option(help="Whose policy.")] = "default",
    policy: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A policy file.")] = None,
    redacted: Annotated[bool, typer.Option("--redacted", help="Show the redacted text instead.")] = False,
) -> None:
    """Screen a text without any server. Exit codes: 0 passes (or is redacted), 1 a bad line, 2 misuse, 3 blocked."""
    if (text is None) == (not jsonl) and not (jsonl and text == "-"):
        raise CommandError("give a text or - for standard input; or --jsonl and lines there", exit_code=MISUSED)
    screener = _screener(policy, kind)
    if jsonl:
        raise typer.Exit(FAILED if _screen_lines(screener, kind, tenant) else 0)
    given = all_of_it() if text == "-" else text or ""
    verdict = screener.screen({"text": given}, kind=kind, tenant=tenant)
    output = Session.of(context).output
    if redacted:
        print((verdict.redacted or {}).get("text", given))
    elif output.is_json:
        print(document(verdict).decode())
    else:
        _show(output, verdict)
    raise typer.Exit(BLOCKED if verdict.decision == "block" else 0)


def _screener(policy: Path | None, kind: str) -> "Screener":
    """Compiled here: no other command should wait for it."""
    from screening import Policy, Screener  # noqa: PLC0415  # a third of a second that only this command needs
    from screening.policy import KINDS, PolicyError  # noqa: PLC0415  # as above

    if kind not in KINDS:
        raise CommandError(f"no kind '{kind}'; there are {', '.join(KINDS)}", exit_code=MISUSED)
    try:
        return Screener(Policy.load(policy))
    except PolicyError as error:
        raise CommandError(str(error), exit_code=MISUSED) from None


def document(verdict: "Verdict") -> bytes:
    """A verdict as one line of JSON."""
    findings = [
        {
            "family": f.family,
            "type": f.type,
            "severity": f.severity,
            "start": f.start,
            "end": f.end,
            "confidence": f.confidence,
        }
        for f in verdict.findings
    ]
    return orjson.dumps(
        {
            "decision": verdict.decision,
            "would": verdict.would,
            "injection_score": verdict.injection_score,
            "findings": findings,
            "reason": verdict.reason,
            "truncated": verdict.truncated,
            "rules_version": verdict.rules_version,
        }
    )


def _screen_lines(screener: "Screener", kind: str, tenant: str) -> int:
    """Screen standard input line by line; returns how many lines were no `{"text": "…"}` (they get `{"error"}`)."""
    bad = 0
    write = sys.stdout.buffer.write
    for text in _texts(standard_input().buffer):
        if text is None:
            bad += 1
            write(b'{"error":"not a line of {\\"text\\": \\"...\\"}"}\n')
        else:
            write(document(screener.screen({"text": text}, kind=kind, tenant=tenant)) + b"\n")
    sys.stdout.buffer.flush()
    return bad


def _texts(lines: Iterable[bytes]) -> Iterator[str | None]:
    for line in lines:
        if line.strip():
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                row = None
            text = row.get("text") if isinstance(row, dict) else None
            yield text if isinstance(text, str) else None


def _show(output: Output, verdict: "Verdict") -> None:
    said = f"{verdict.decision} (would {verdict.would})" if verdict.would else verdict.decision
    word = Text(said, style=_COLOURS[verdict.decision])
    output.line(Text.assemble(word, f"  injection {verdict.injection_score:.3f}  {verdict.reason or ''}"))
    if verdict.findings:
        rows = [
            (f.family, f.type, f.severity, str(f.start), str(f.end), f"{f.confidence:.2f}") for f in verdict.findings
        ]
        output.table(_COLUMNS, rows)
