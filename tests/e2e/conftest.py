"""One stack in parts for all tests that break something; each test heals it first."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.support.stack_parts import Parts, running_parts


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def shared_parts() -> AsyncGenerator[Parts]:
    """Started when first asked for."""
    async with running_parts() as parts:
        yield parts


@pytest.fixture
async def parts(shared_parts: Parts) -> Parts:
    """The shared stack, whole and working."""
    await shared_parts.heal()
    return shared_parts
