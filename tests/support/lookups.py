"""A look-up that knows nothing: a test's own answers only what its consumer may ask for."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from storage.called import CalledAgent
from storage.checkpoints import GivenCheckpoint
from storage.contexts import SharedContext
from storage.lookup import Line, TaskView
from storage.specifications import BaseFiles, LeftFiles
from storage.steps import StepResult


class NoLookup:
    """Whatever is asked is a defect of the consumer under test."""

    async def task(self, task_id: UUID) -> TaskView | None:
        raise AssertionError(task_id)

    async def said_before(self, session_id: str, task_id: UUID, max_bytes: int) -> Sequence[Line]:
        raise AssertionError(session_id, task_id, max_bytes)

    async def base_files(self, task_id: UUID) -> BaseFiles | None:
        raise AssertionError(task_id)

    async def left_files(self, task_id: UUID) -> LeftFiles | None:
        raise AssertionError(task_id)

    async def contexts(self, tenant: str, owner: str, ids: Sequence[UUID]) -> Mapping[UUID, SharedContext]:
        raise AssertionError(tenant, owner, ids)

    async def capabilities(self, tenant: str) -> frozenset[str]:
        raise AssertionError(tenant)

    async def results(self, steps: Sequence[UUID]) -> Sequence[StepResult]:
        raise AssertionError(steps)

    async def has_agent(self, tenant: str, agent_id: str) -> bool:
        raise AssertionError(tenant, agent_id)

    async def checkpoint(self, task_id: UUID) -> GivenCheckpoint | None:
        raise AssertionError(task_id)

    async def called(self, tenant: str, agent_id: str) -> CalledAgent | None:
        raise AssertionError(tenant, agent_id)
