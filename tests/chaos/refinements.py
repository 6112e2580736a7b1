"""`python -m tests.chaos.refinements`: kill -9 each part of a refinement at each of its stages, one by one.

Each must end in one proposal with all files: the same ones that an undisturbed refinement gives.
"""

import asyncio
import sys
import time

from tests.support.refinement_parts import KILLED, STAGES, Refined, refined, refinement_parts


def faults_of(found: Refined, whole: Refined) -> list[str]:
    """What is wrong with a refinement, measured at an undisturbed one."""
    faults = []
    if found.files != whole.files:
        faults.append(f"{len(found.files)} files of {len(whole.files)}, or other texts")
    if (found.proposals, found.pending) != (1, 1):
        faults.append(f"{found.proposals} proposals, pending {found.pending} times")
    if found.attempts > 2:
        faults.append(f"{found.attempts} attempts for one kill")
    return faults


async def campaign() -> int:
    """All pairs of a part and a stage; how many went wrong."""
    wrong = 0
    async with refinement_parts() as parts:
        whole = await refined(parts)
        for role in KILLED:
            for stage in STAGES:
                began = time.perf_counter()
                found = await refined(parts, kill=role, at=stage)
                faults = faults_of(found, whole)
                wrong += bool(faults)
                took = time.perf_counter() - began
                sys.stdout.write(f"{role:12} {stage:20} {took:5.1f} s  attempt {found.attempts}  {faults or 'ok'}\n")
                sys.stdout.flush()
    sys.stdout.write(f"{len(KILLED) * len(STAGES)} kills, {wrong} wrong\n")
    return wrong


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(campaign()) else 0)
