"""An outside agent as a process of its own, to be killed: `python -m tests.support.agent_process NAME CAPS SLOTS`."""

import asyncio
import random
import sys

from producers.agent import Agent, Context, Task


def main(name: str, capabilities: str, slots: str) -> None:
    agent = Agent(name, capabilities.split(","), slots=int(slots), beat=0.5)

    @agent.handler
    async def work(task: Task, _: Context) -> str:
        await asyncio.sleep(random.uniform(0.05, 0.3))
        return task.prompt

    agent.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
