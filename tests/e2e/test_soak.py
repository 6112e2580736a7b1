"""Subscribers drop out and come back while gateways are killed: each sees each event once and in order.

The short form of `make soak` (tests/soak).
"""

import os
import random
from collections.abc import Callable

import pytest

from tests.soak.run import Plan, soak
from tests.support.promises import a_promise
from tests.support.stack_parts import Parts

SEED = int(os.environ.get("GANGLION_TEST_SEED", random.randrange(2**32)))
PLAN = Plan(seconds=60, subscribers=100, owners=5, tasks_per_second=2, stay=8.0, between_kills=8.0, seed=SEED)
"""Mostly waiting, so that what runs beside it has the machine."""


@pytest.mark.timeout(240)
async def test_a_hundred_subscribers_miss_nothing_while_gateways_are_killed(
    parts: Parts, record_property: Callable[[str, object], None]
) -> None:
    result = await soak(parts, PLAN)
    verdict = result.verdict
    record_property("figures", f"{result}")
    # What was not shown in time may have been late; what was shown twice, or with a hole before it, was not.
    late = [fault for fault in verdict.faults if "were never shown" in fault]
    with a_promise():
        assert verdict.faults == late, f"seed {SEED}: {verdict.faults[:5]}"
        assert verdict.gaps == 0, f"seed {SEED}: only gateways were killed, so nothing may be gone"
    assert not late, f"seed {SEED}: {late[:5]}"
    assert verdict.torn_speech == 0, f"seed {SEED}"
    assert verdict.pieces_heard > 100
    assert sum(result.kills.values()) >= 1
    assert verdict.connections > verdict.subscribers, "nobody came back"
    assert verdict.deliveries > 1_000
