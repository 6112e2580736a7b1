"""`python -m bench.profile`: where the Python time of gateway and consumers goes, task by task.

Samples both with py-spy while 256 tasks are in flight. py-spy is not one of our dependencies: put it on PATH, or say
where it is with --py-spy.
"""

import asyncio
import re
import shutil
import signal
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bench.endtoend import Throughput, throughput
from bench.http import Requests
from bench.stack import Stack
from cli.session import tidy

_ROLES = ("gateway", "consumers")
_SAMPLES_A_SECOND = 400
_PLACE = re.compile(r"^(?P<function>.+) \((?P<file>[^():]+)(?::\d+)?\)$")

_LOOP = "asyncio/runners.py:Runner.run"

Stacks = Counter[tuple[str, ...]]


@asynccontextmanager
async def sampled(py_spy: str, pid: int, into: Path) -> AsyncGenerator[None]:
    """Sample a process for as long as the block runs; `into` then holds its stacks, one a line with a count."""
    recorder = await asyncio.create_subprocess_exec(
        *(py_spy, "record", "--pid", str(pid), "--rate", str(_SAMPLES_A_SECOND)),
        *("--format", "raw", "--output", str(into), "--nonblocking"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        if recorder.returncode is None:
            recorder.send_signal(signal.SIGINT)
        await recorder.wait()


def stacks(text: str) -> Stacks:
    """Samples by call stack, outermost function first, each as `file:function`."""
    found: Stacks = Counter()
    for line in text.split("\n"):  # and nowhere else: what is sampled while it moves may be any text
        frames, _, count = line.rpartition(" ")
        if count.isdecimal():
            found[tuple(_named(frame) for frame in frames.split(";"))] += int(count)
    return found


def shares(found: Stacks) -> list[tuple[str, float, float]]:
    """Each function with its share of all samples: anywhere on the stack, and innermost."""
    total = sum(found.values()) or 1
    anywhere, innermost = Counter[str](), Counter[str]()
    for frames, count in found.items():
        innermost[frames[-1]] += count
        for frame in set(frames):
            anywhere[frame] += count
    return [(name, count / total, innermost[name] / total) for name, count in anywhere.most_common()]


def below(found: Stacks, function: str) -> Stacks:
    """Only what happens below the first function whose name ends so, that function left out."""
    part: Stacks = Counter()
    for frames, count in found.items():
        place = next((place for place, frame in enumerate(frames) if frame.endswith(function)), None)
        if place is not None:
            part[frames[place + 1 :] or (f"{function} itself",)] += count
    return part


def outermost(found: Stacks) -> list[tuple[str, float]]:
    """The outermost functions with their shares; below the event loop these are its tasks and callbacks."""
    total = sum(found.values()) or 1
    counts = Counter[str]()
    for frames, count in found.items():
        counts[frames[0]] += count
    return [(name, count / total) for name, count in counts.most_common()]


async def measure(py_spy: str, tasks: int, into: Path) -> Throughput:
    """One round of throughput with both roles sampled."""
    async with Stack() as stack:
        requests = Requests(stack.host, stack.port, stack.token)
        await throughput(stack, requests, tasks=500, in_flight=64)
        pids = stack.pids()
        first, second = (sampled(py_spy, pids[role], into / f"{role}.stacks") for role in _ROLES)
        async with first, second:
            return await throughput(stack, requests, tasks=tasks, in_flight=256)


def profile(
    tasks: Annotated[int, typer.Option(min=100, help="How many tasks to carry through.")] = 4_000,
    py_spy: Annotated[str, typer.Option(help="The py-spy program.")] = "py-spy",
    into: Annotated[Path, typer.Option(help="Where the raw stacks go (for a flame graph).")] = Path("build/profile"),
    under: Annotated[str, typer.Option(help="Show what happens below this function.")] = _LOOP,
    rows: Annotated[int, typer.Option(min=1, help="How many functions to show.")] = 30,
) -> None:
    """Show in which functions gateway and consumers spend their time."""
    program = shutil.which(py_spy)
    if program is None:
        print(f"not run: {py_spy} is not there (pip install py-spy, or --py-spy PATH)")
        raise typer.Exit(1)
    into.mkdir(parents=True, exist_ok=True)
    done = uvloop.run(tidy(measure(program, tasks, into)))
    console = Console(width=140)
    console.print(f"{done.rate:.0f} tasks/s while sampled")
    for role in _ROLES:
        everything = stacks((into / f"{role}.stacks").read_text())
        part = below(everything, under)
        cpu_us = done.cpu_us[role] * sum(part.values()) / (sum(everything.values()) or 1)
        title = f"{role}: {done.cpu_us[role]:,.0f} us CPU a task, {cpu_us:,.0f} below {under}"
        console.print(_calls(title, cpu_us, part, rows))
        console.print(_functions(cpu_us, part, rows))


def _calls(title: str, cpu_us: float, part: Stacks, rows: int) -> Table:
    table = Table("called directly", "us", "share", title=title, box=None, title_justify="left")
    for name, share in outermost(part)[:rows]:
        table.add_row(name, f"{share * cpu_us:,.0f}", f"{share:.1%}")
    return table


def _functions(cpu_us: float, part: Stacks, rows: int) -> Table:
    table = Table("function", "us in all", "us itself", "in all", "itself", box=None)
    for name, anywhere, innermost in shares(part)[:rows]:
        table.add_row(
            name, f"{anywhere * cpu_us:,.0f}", f"{innermost * cpu_us:,.0f}", f"{anywhere:.1%}", f"{innermost:.1%}"
        )
    return table


def _named(frame: str) -> str:
    place = _PLACE.match(frame)
    if place is None:
        return frame
    parts = Path(place["file"]).parts
    return f"{'/'.join(parts[-2:])}:{place['function']}"


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(profile)

if __name__ == "__main__":
    app()
