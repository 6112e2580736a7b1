"""kill -9 of engine, spec_engine, proposals and keeper in the middle of refinements.

All pairs of a part and a stage, one by one: `python -m tests.chaos.refinements`.
"""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.chaos.refinements import faults_of
from tests.support.promises import a_promise
from tests.support.refinement_parts import KILLED, Refined, refined, refinement_parts
from tests.support.stack_parts import Parts

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(500)]
Site = tuple[Parts, Refined]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncGenerator[Site]:
    """A stack, and what an undisturbed refinement gives on it."""
    async with refinement_parts() as parts:
        yield parts, await refined(parts)


@pytest.mark.parametrize("stage", ["run.files", "run.finished", "proposal.extracting"])
async def test_a_refinement_whose_part_dies_ends_in_one_proposal_with_all_files(site: Site, stage: str) -> None:
    parts, whole = site
    await parts.heal()
    found = await asyncio.gather(*(refined(parts, kill=role, at=stage) for role in KILLED))
    # Each of the four met the others' deaths too: up to three attempts.
    with a_promise():
        assert [faults for one in found for faults in faults_of(one, whole) if "attempts" not in faults] == []
    assert max(one.attempts for one in found) <= 3


@pytest.mark.parametrize("server", ["valkey", "nats", "postgres"])
async def test_a_server_that_dies_in_the_middle_costs_nothing_but_time(site: Site, server: str) -> None:
    parts, whole = site
    await parts.heal()
    found = await refined(parts, kill=server, at="run.files")
    with a_promise():
        assert [fault for fault in faults_of(found, whole) if "attempts" not in fault] == []
    assert faults_of(found, whole) == []
