"""`python -m bench.paired OLD`: another worktree and this one in turn, both stacks up at once: what a change saves.

CPU a task moves by a fifth from one minute to the next where others use the machine too. Portions of some hundred
tasks in turn meet the same minutes, so the ratio of two trees holds where the figure of either does not. Two stacks of
one tree have differed by 3 to 10 % for as long as they lived: hence several starts of both.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Self

import orjson
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bench.figures import median

_HERE = Path(__file__).resolve().parents[1]
_STAND = Path(__file__).with_name("stand.py")
_OURS = ("consumers", "gateway", "nats")
_READY_WITHIN = 120.0

Figures = dict[str, float]


class Tree:
    """One worktree's stack, carried through portions of tasks; `async with Tree(path) as tree`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(_STAND)),
            cwd=self._path,
            env={**os.environ, "PYTHONPATH": str(self._path)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(_READY_WITHIN):
            await self._answer()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()

    async def carry(self, tasks: int) -> Figures:
        """One portion: tasks a second, and CPU microseconds a task by process."""
        assert self._process is not None  # noqa: S101 - entered
        assert self._process.stdin is not None  # noqa: S101 - as above
        self._process.stdin.write(b"%d\n" % tasks)
        return added_up(await self._answer())

    async def _answer(self) -> Figures:
        assert self._process is not None  # noqa: S101 - entered
        assert self._process.stdout is not None  # noqa: S101 - as above
        said: Figures = orjson.loads(await self._process.stdout.readline())
        return said


def added_up(figures: Figures) -> Figures:
    """With what consumers, gateway and NATS take together."""
    return {**figures, "these three": sum(figures[name] for name in _OURS)}


def mean_of(portions: list[Figures]) -> Figures:
    """What the portions of one start have in common."""
    return {name: sum(one[name] for one in portions) / len(portions) for name in portions[0]}


def compared(old: list[Figures], new: list[Figures]) -> list[tuple[str, float, float, float]]:
    """By figure the two medians and the median of the ratios of pairs; of starts that were beside each other."""
    return [
        (
            name,
            median([one[name] for one in old]),
            median([one[name] for one in new]),
            median(
                [after[name] / before[name] for before, after in zip(old, new, strict=True) if before[name]] or [1.0]
            ),
        )
        for name in old[0]
    ]


async def measure(paths: Sequence[Path], rounds: int, tasks: int) -> dict[Path, Figures]:
    """One start of both: the means of all portions but the first, which warms up."""
    portions: dict[Path, list[Figures]] = {path: [] for path in paths}
    async with AsyncExitStack() as opened:
        trees = [(path, await opened.enter_async_context(Tree(path))) for path in paths]
        for number in range(rounds + 1):
            for path, tree in trees if number % 2 == 0 else reversed(trees):
                portions[path].append(await tree.carry(tasks))
    return {path: mean_of(found[1:]) for path, found in portions.items()}


def pair(
    old: Annotated[Path, typer.Argument(help="The other worktree.", exists=True, file_okay=False, resolve_path=True)],
    starts: Annotated[int, typer.Option(min=1, help="How often both stacks are started.")] = 6,
    rounds: Annotated[int, typer.Option(min=1, help="Portions of each, a start.")] = 3,
    tasks: Annotated[int, typer.Option(min=100, help="Tasks in a portion.")] = 400,
) -> None:
    """Compare another worktree with this one."""
    found: list[dict[Path, Figures]] = []
    for number in range(starts):
        paths = (old, _HERE) if number % 2 == 0 else (_HERE, old)
        found.append(uvloop.run(measure(paths, rounds, tasks)))
    table = Table("CPU microseconds a task", old.name, "this tree", "ratio", box=None)
    for name, before, after, ratio in compared([one[old] for one in found], [one[_HERE] for one in found]):
        table.add_row(name, f"{before:,.0f}", f"{after:,.0f}", f"{ratio:.3f}")
    Console().print(table)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(pair)

if __name__ == "__main__":
    app()
