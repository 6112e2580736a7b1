"""An agent that counts words. GANGLION_URL and GANGLION_TOKEN say where: `ganglion token` prints one."""

from collections import Counter

from producers.agent import Agent, Context, Task

agent = Agent("AGENT-COUNTER", ["count-words"], slots=2)


@agent.handler
async def count(task: Task, ctx: Context) -> dict[str, object]:
    words = Counter(task.prompt.lower().split())
    await ctx.tool_call("count", {"characters": len(task.prompt)}, {"words": words.total()})
    return {"text": f"{words.total()} words, {len(words)} different ones.", "most": dict(words.most_common(3))}


if __name__ == "__main__":
    agent.run()
