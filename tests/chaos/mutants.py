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
from pathlib import Path

from tests.chaos.defects import MUTANTS, Edit, Mutant

ROOT = Path(__file__).resolve().parents[2]
_SEEDS = 3
_SIMULATED = 1_500
"""Seeds of the simulation for a defect that it must find; it ends with the first."""
_PATIENCE = 1_800.0
"""Seconds for a campaign: with the defect in it, it may wait for everything in vain before it is judged."""


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
    """Whether a campaign fails within three seeds in the mutated copy, or a test of those that must."""
    with tempfile.TemporaryDirectory(prefix="ganglion-mutant-") as folder:
        copy = Path(folder) / "copy"
        _copy_project(copy)
        for edit in mutant.edits:
            _apply(copy, edit)
        if mutant.tests:
            return await asyncio.to_thread(_tests_fail, copy, mutant)
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


def _tests_fail(copy: Path, mutant: Mutant) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "-x", *mutant.tests]
    env = {**os.environ, "GANGLION_TEST_SEEDS": str(_SIMULATED)}
    ran = subprocess.run(  # noqa: S603 - our own program
        command, cwd=copy, env=env, capture_output=True, text=True, check=False, timeout=900
    )
    failed = [line for line in ran.stdout.splitlines() if line.startswith("FAILED")]
    if ran.returncode not in (0, 1) or (ran.returncode == 1 and not failed):
        raise RuntimeError(f"{mutant.name}: the tests could not be run:\n{(ran.stdout + ran.stderr)[-4_000:]}")
    sys.stdout.write(f"{'caught  ' if failed else 'SURVIVED'} {mutant.name}: {'; '.join(failed)[:400]}\n")
    sys.stdout.flush()
    return bool(failed)


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
        command, cwd=copy, env={**os.environ}, capture_output=True, text=True, check=False, timeout=_PATIENCE
    )
    return ran.returncode, ran.stdout + ran.stderr


if __name__ == "__main__":
    main()
