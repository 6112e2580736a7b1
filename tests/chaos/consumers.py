"""`python -m tests.chaos.consumers [NAME…]`: the consumers on bad days: some acknowledgements are lost on the way.

The agent notes every call in a file of its own before it works, so that what was done can be counted.
"""

import os
import random
from pathlib import Path

from nats.aio.msg import Msg

from consumers.__main__ import main
from consumers.runner.agent import Answer, Reporter, Work
from consumers.runner.extractive import ExtractiveAgent
from tests.support.kill_points import make_stricter, replace_method

CALLS = "GANGLION_TEST_CALLS"
"""Names the file of the agent's calls."""
LOST_ACKS = 0.01


def _lose_acknowledgements(dice: random.Random) -> None:
    ack = Msg.ack

    async def unreliable_ack(self: Msg) -> None:
        if dice.random() >= LOST_ACKS:
            await ack(self)

    replace_method(Msg, "ack", unreliable_ack)


def note_call(path: str, prompt: str) -> None:
    """One short line, appended in one write: several processes may share the file. It is out before the work begins."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{prompt}\n")


def _note_calls(path: str) -> None:
    run = ExtractiveAgent.run

    async def noted_run(self: ExtractiveAgent, work: Work, reporter: Reporter) -> Answer:
        note_call(path, work.prompt)
        return await run(self, work, reporter)

    replace_method(ExtractiveAgent, "run", noted_run)


if __name__ == "__main__":
    make_stricter()
    _lose_acknowledgements(random.Random())
    _note_calls(os.environ[CALLS])
    main()
