"""Everything is killed once under load, in a random order: what the clients were promised, and saw, still holds."""

import asyncio
import os
import random
import time
from collections.abc import Callable

import pytest

from tests.support.promises import a_promise
from tests.support.stack_load import Asker, answered, asking, promised
from tests.support.stack_parts import Parts
from tests.support.stack_proof import Proof
from tests.support.sweep_log import resent_in

VICTIMS = ("gateway", "keeper", "reactors", "runner", "nats", "postgres", "valkey")
SEED = int(os.environ.get("GANGLION_TEST_SEED", random.randrange(2**32)))
"""Printed when the test fails; set it to go the same way again."""


@pytest.mark.timeout(150)
async def test_nothing_promised_is_lost_or_doubled_while_each_part_is_killed_under_load(
    parts: Parts, record_property: Callable[[str, object], None]
) -> None:
    dice = random.Random(SEED)
    victims = dice.sample(VICTIMS, len(VICTIMS))
    context = f"seed {SEED}: {victims}"
    print(context)  # noqa: T201 - pytest shows it when the test fails
    before = resent(parts)
    async with asking(parts, 4, at_once=2) as askers:
        for victim in victims:
            await asyncio.sleep(dice.uniform(0.5, 1.5))
            await parts.kill(victim)
            async with dice.choice(askers).live.away():
                await asyncio.sleep(dice.uniform(0.1, 1.0))
                await parts.start(victim)
        healed = time.monotonic()
        await parts.ready()
        await answered(askers)
        everything = promised(askers, "log", "log+database")
        async with Proof(parts) as proof:
            await proof.all_end(everything, within=60)
            record_property("seconds from the last start to the last end", round(time.monotonic() - healed, 1))
            assert set(await proof.statuses(everything)) == {"succeeded"}, context
            await proof.every_sequence_is_accounted_for()
            await proof.no_effect_is_doubled(everything)
            for asker in askers:
                await _saw_everything(asker, proof)
            record_property("repeats recognised", await proof.repeats())
    record_property("accepted", len(everything))
    record_property("accepted into the log only", len(promised(askers, "log")))
    record_property("without an answer, or refused", sum(sum(asker.refused.values()) for asker in askers))
    record_property("order", context)
    # The main path must not live by the sweep: it is for lost stores, and here only processes were killed.
    assert resent(parts) == before, context


async def _saw_everything(asker: Asker, proof: Proof) -> None:
    """Its own tasks and no others, each state once and in order, though its socket was cut and its gateway killed."""
    mine = set(asker.promised)
    with a_promise():
        assert await proof.tasks_of(asker.owner) == mine
    await asker.live.until_final(mine)
    await proof.was_seen_once_in_order(asker.live, mine)
    with a_promise():
        assert {seen.task_id for seen in asker.live.seen} == mine


def resent(parts: Parts) -> int:
    """How many events the sweep has sent again since the stack started."""
    return resent_in(parts.log("keeper"))
