"""`python -m tests.chaos.mutants [NAME…]`: plant one defect after another in a copy; each must be caught by a campaign.

A defect that survives is a hole in the harness. One that no longer fits the code is an error: it must be rewritten.
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SEEDS = 3


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement; `old` must be found exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A planted defect, and the campaign that must notice it. `faults` are parts of names, `times` how many strike."""

    name: str
    edits: tuple[Edit, ...]
    faults: tuple[str, ...]
    times: int = 12
    requests: int = 1_500
    per_second: float = 100.0
    sweep: str = "off"


_RUNTIME, _OUTBOX, _TERM = "consumers/_runtime.py", "consumers/keeper/outbox.py", "consumers/keeper/term.py"
MUTANTS = (
    Mutant(
        "acknowledge before publishing",
        (
            Edit(
                _RUNTIME,
                "        begun = await self._run_batch(batch, messages) if",
                "        for message in messages:\n            await message.ack()\n"
                "        begun = await self._run_batch(batch, messages) if",
            ),
            Edit(
                _RUNTIME,
                "                await message.ack()\n                self._settled",
                "                self._settled",
            ),
        ),
        ("kill reactors", "kill nats"),
    ),
    Mutant(
        "log a repeated event as if it were new",
        (
            Edit("storage/parts.py", '"logged": inserted(event_log)', '"logged": inserted(event_log, _ONCE)'),
            Edit(
                "consumers/keeper/fold.py", "        if key in self.known:", "        if False and key in self.known:"
            ),
        ),
        ("duplicate",),
        times=4,
    ),
    Mutant(
        "forget an outbox row once it is sent",
        (
            Edit(_OUTBOX, "                self._sent[event_id] = outgoing\n", "                pass\n"),
            Edit(_TERM, "            await self._publish_left()\n", "            pass\n"),
        ),
        ("kill nats", "kill keeper", "kill standby"),
    ),
    Mutant(
        "let the oldest messages go when the log is full",
        (Edit("producers/topology.py", "discard=DiscardPolicy.NEW", "discard=DiscardPolicy.OLD"),),
        ("fill the log",),
        times=4,
        requests=3_000,
        per_second=150.0,
    ),
    Mutant(
        "write without the lease",
        (
            Edit(
                "storage/parts.py",
                "holder = $1 AND epoch = $2 AND position = $3 AND until > clock_timestamp() RETURNING 1)",
                "$1::text || $2::text || $3::bigint IS NOT NULL RETURNING 1)",
            ),
        ),
        ("pause keeper", "pause standby"),
        times=6,
    ),
    Mutant(
        "promise before the commit",
        (
            Edit(
                _TERM,
                "        began = time.monotonic()\n        await self._store.write(",
                "        changes_told = fold.outcomes\n        await self._tell(changes_told)\n"
                "        began = time.monotonic()\n        await self._store.write(",
            ),
        ),
        ("wipe the log while postgres sleeps",),
        times=4,
        sweep="on",
    ),
    Mutant(
        "take a new log for the old one",
        (
            Edit(
                "consumers/keeper/epoch.py",
                "    if token and token == position.epoch and await _same_log(client, store, position):\n",
                "    if position.epoch:\n",
            ),
        ),
        ("wipe the log",),
        times=2,
        requests=400,
        per_second=40.0,
        sweep="on",
    ),
    Mutant("leave a lost log to itself", (), ("wipe the log",), times=6, sweep="off"),
    Mutant(
        "skip an event when a subscriber resumes",
        (
            Edit(
                "gateway/replay.py",
                "        start = self._hub.position if after is None else after\n",
                "        start = self._hub.position if after is None else Cursor(after.epoch, after.seq + 1)\n",
            ),
        ),
        ("kill gateway",),
        times=6,
    ),
    Mutant(
        "show anybody any task",
        (Edit("gateway/lookup.py", "principal.may_see(row.tenant, row.owner)", "principal is not None"),),
        ("kill valkey",),
        times=1,
        requests=400,
        per_second=40.0,
    ),
)


def main() -> None:
    """Try all or the named ones; ends with 1 if one survives."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names")
    names: Sequence[str] = parser.parse_args().names
    chosen = [mutant for mutant in MUTANTS if not names or any(name in mutant.name for name in names)]
    survivors = [mutant.name for mutant in chosen if not asyncio.run(_is_caught(mutant))]
    sys.stdout.write(f"{len(chosen) - len(survivors)} of {len(chosen)} caught; survived: {survivors or 'none'}\n")
    sys.exit(1 if survivors else 0)


async def _is_caught(mutant: Mutant) -> bool:
    """Whether a campaign fails within three seeds in the mutated copy."""
    with tempfile.TemporaryDirectory(prefix="ganglion-mutant-") as folder:
        copy = Path(folder) / "copy"
        _copy_project(copy)
        for edit in mutant.edits:
            _apply(copy, edit)
        for seed in range(1, _SEEDS + 1):
            code, output = await asyncio.to_thread(_campaign, copy, mutant, seed)
            violated = [line.strip() for line in output.splitlines() if "VIOLATED" in line]
            if code not in (0, 1) or (code == 1 and not violated):
                raise RuntimeError(f"{mutant.name}: the campaign itself failed:\n{output[-4_000:]}")
            if violated:
                sys.stdout.write(f"caught   {mutant.name} (seed {seed}): {'; '.join(violated)}\n")
                sys.stdout.flush()
                return True
    sys.stdout.write(f"SURVIVED {mutant.name}\n")
    return False


def _copy_project(copy: Path) -> None:
    ignored = shutil.ignore_patterns(".*", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=ignored)


def _apply(copy: Path, edit: Edit) -> None:
    path = copy / edit.file
    text = path.read_text()
    if text.count(edit.old) != 1:
        raise RuntimeError(f"{edit.file} has changed: {edit.old!r} is there {text.count(edit.old)} times")
    path.write_text(text.replace(edit.old, edit.new))


def _campaign(copy: Path, mutant: Mutant, seed: int) -> tuple[int, str]:
    command = [sys.executable, "-m", "tests.chaos", "--seed", str(seed), "--sweep", mutant.sweep]
    command += ["--requests", str(mutant.requests), "--per-second", str(mutant.per_second)]
    command += ["--faults", str(mutant.times)]
    for fault in mutant.faults:
        command += ["--only", fault]
    if mutant.sweep == "off":
        command.append("--all-kinds")
    ran = subprocess.run(  # noqa: S603 - our own program
        command, cwd=copy, env={**os.environ}, capture_output=True, text=True, check=False, timeout=600
    )
    return ran.returncode, ran.stdout + ran.stderr


if __name__ == "__main__":
    main()
