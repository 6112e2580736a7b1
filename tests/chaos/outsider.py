"""`python -m tests.chaos.outsider`: somebody's own agent, with its own token, that is killed like all of ours."""

import asyncio
import os

from producers.agent import Agent, Context, Task
from tests.chaos.consumers import CALLS, note_call

CAPABILITY = "count-words"
agent = Agent("AGENT-OUTSIDER", [CAPABILITY], slots=16, beat=2.0)


@agent.handler
async def count(task: Task, ctx: Context) -> dict[str, object]:
    """Note the call, say that it has begun, take its time."""
    note_call(os.environ[CALLS], task.prompt)
    await ctx.progress(50, "half way")
    await asyncio.sleep(0.05)
    return {"text": f"{len(task.prompt.split())} words."}


if __name__ == "__main__":
    agent.run()
