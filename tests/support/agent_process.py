"""An outside agent as a process of its own, to be killed: `python -m tests.support.agent_process NAME CAPS SLOTS`.

What it is told to hold it holds until a line comes on its standard input.
"""

import asyncio
import random
import sys

from producers.agent import Agent, Context, Task

HOLD = "Hold this."


def main(name: str, capabilities: str, slots: str) -> None:
    agent = Agent(name, capabilities.split(","), slots=int(slots), beat=0.5)

    @agent.handler
    async def work(task: Task, ctx: Context) -> str:
        if task.prompt == HOLD:
            await ctx.progress(50, "held")
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        else:
            await asyncio.sleep(random.uniform(0.05, 0.3))
        return task.prompt

    agent.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
