"""One whole stack, and one in parts for all tests that break something; each of those heals it first."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.support.stack import Stack, running_stack
from tests.support.stack_parts import Parts, running_parts


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def whole_stack() -> AsyncGenerator[Stack]:
    """All of Ganglion under a supervisor, as `make up` runs it; what a test kills comes back by itself."""
    async with running_stack() as stack:
        yield stack


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
