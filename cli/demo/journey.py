"""Start a stack of its own, play every act on it, stop it."""

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.text import Text

from cli.demo.conversation import conversation
from cli.demo.outside_agent import outside_agent
from cli.demo.refinements import refinements
from cli.demo.samples import samples
from cli.demo.stage import Act, Ending, Stage
from cli.embedded import EmbeddedStack, StackDidNotStartError
from cli.errors import FAILED, CommandError
from cli.logs import last_lines
from cli.output import Output
from cli.place import Place
from cli.session import Session, run

ACTS: dict[str, Act] = {
    "Requests of many kinds": samples,
    "A specification, refined and decided": refinements,
    "A conversation": conversation,
    "Somebody's own agent": outside_agent,
}


def demo(
    context: typer.Context,
    within: Annotated[float, typer.Option(min=1, help="Seconds that each act may take.")] = 20.0,
) -> None:
    """Start a stack of its own, play every act on it, stop it; exit code 0 if all went as it should."""
    run(_demo(Session.of(context).output, within))


async def _demo(output: Output, within: float) -> int:
    began = perf_counter()
    output.remark("starting nats, postgres, valkey, the gateway and the consumers")
    try:
        async with EmbeddedStack() as stack:
            runtime = stack.runtime()
            output.remark(f"ready after {perf_counter() - began:.1f} s at {runtime.gateway_url}")
            stage = Stage(Place(runtime.gateway_url, runtime.token), output, stack.home, within)
            endings = [await _play(title, act, stage) for title, act in ACTS.items()]
            if any(ending.faults for ending in endings):
                _explain(output, stack.home / "logs")
    except StackDidNotStartError as error:
        raise CommandError(str(error)) from None
    tried = sum(ending.tried for ending in endings)
    faults = [fault for ending in endings for fault in ending.faults]
    for fault in faults:
        output.remarks.print(Text.assemble(("wrong: ", "red"), fault))
    good = tried - len(faults)
    output.remark(f"\n{good} of {tried} as they should be; everything took {perf_counter() - began:.1f} s")
    return FAILED if faults else 0


async def _play(title: str, act: Act, stage: Stage) -> Ending:
    stage.output.remark(f"\n== {title} ==\n")
    return await act(stage)


def _explain(output: Output, logs: Path) -> None:
    """The last words of our processes, whose state folder is about to go."""
    for name in ("consumers", "gateway"):
        if (logs / f"{name}.log").exists():
            for line in last_lines(logs / f"{name}.log", 15)[0]:
                output.remark(f"{name} | {line}")
