"""`python -m bench.paired OLD`: another worktree and this one in turn, both stacks up at once: what a change saves.

CPU a task moves by a fifth from one minute to the next where others use the machine too. Portions of some hundred
tasks in turn meet the same minutes, so the ratio of two trees holds where the figure of either does not.
"""

import asyncio
import os
import sys
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
        self.portions: list[Figures] = []

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


def compared(old: list[Figures], new: list[Figures]) -> list[tuple[str, float, float, float]]:
    """By figure the two medians and the median of the ratios of pairs; of portions that were in turn."""
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


async def measure(paths: tuple[Path, Path], rounds: int, tasks: int) -> tuple[list[Figures], list[Figures]]:
    """All portions of both but the first, which warms up."""
    async with AsyncExitStack() as opened:
        trees = [await opened.enter_async_context(Tree(path)) for path in paths]
        for number in range(rounds + 1):
            for tree in trees if number % 2 == 0 else reversed(trees):
                tree.portions.append(await tree.carry(tasks))
    old, new = (tree.portions[1:] for tree in trees)
    return old, new


def pair(
    old: Annotated[Path, typer.Argument(help="The other worktree.", exists=True, file_okay=False, resolve_path=True)],
    rounds: Annotated[int, typer.Option(min=1, help="Portions of each.")] = 10,
    tasks: Annotated[int, typer.Option(min=100, help="Tasks in a portion.")] = 500,
) -> None:
    """Compare another worktree with this one."""
    table = Table("CPU microseconds a task", str(old.name), "this tree", "ratio", box=None)
    for name, before, after, ratio in compared(*uvloop.run(measure((old, _HERE), rounds, tasks))):
        table.add_row(name, f"{before:,.0f}", f"{after:,.0f}", f"{ratio:.3f}")
    Console().print(table)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(pair)

if __name__ == "__main__":
    app()
