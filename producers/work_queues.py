"""The queues of outside agents: one durable pull consumer each on the stream WORK, over the agent's own subject."""

from collections.abc import AsyncGenerator

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from events.agent import EVERYONE
from events.errors import BusUnavailableError
from events.ids import new_id
from events.streams import WORK
from events.work import work_durable, work_subject

ACK_WAIT = 30.0
"""Seconds after which an assignment that its agent is silent about is given to it again."""
_MAX_ACK_PENDING = 1_000
_PAGE = 256
_NOBODYS = work_subject(EVERYONE, "nobody")
"""Agents of ours have no queues."""


class WorkQueues:
    """Makes and removes them; raises BusUnavailableError."""

    def __init__(self, client: Client) -> None:
        self._js = client.jetstream()
        self._settled: dict[str, int] = {}

    async def ensure(self, tenant: str, agent_id: str) -> None:
        """Make an agent's queue if it is not there, as after the loss of the store."""
        config = ConsumerConfig(
            durable_name=work_durable(tenant, agent_id),
            filter_subject=work_subject(tenant, agent_id),
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT,
            max_deliver=-1,
            max_ack_pending=_MAX_ACK_PENDING,
        )
        try:
            await self._js.add_consumer(WORK.name, config)
        except (NatsError, TimeoutError) as error:
            raise BusUnavailableError from error

    async def end(self) -> int:
        """The last sequence of all queues, as one who would read on behind it is told: we may not ask the stream."""
        name = f"end-{new_id()}"
        config = ConsumerConfig(
            name=name,
            filter_subject=_NOBODYS,
            deliver_policy=DeliverPolicy.NEW,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=10.0,
            mem_storage=True,
        )
        try:
            place = (await self._js.add_consumer(WORK.name, config)).delivered
            await self._js.delete_consumer(WORK.name, name)
        except (NatsError, TimeoutError) as error:
            raise BusUnavailableError from error
        return place.stream_seq if place is not None else 0

    async def remove(self, tenant: str, agent_id: str, *, up_to: int) -> None:
        """Delete an agent's queue and what is left in it, but for what came behind this sequence."""
        try:
            await self._js.delete_consumer(WORK.name, work_durable(tenant, agent_id))
        except NotFoundError:
            pass
        except (NatsError, TimeoutError) as error:
            raise BusUnavailableError from error
        try:
            await self._js.purge_stream(WORK.name, seq=up_to + 1, subject=work_subject(tenant, agent_id))
        except (NatsError, TimeoutError) as error:
            raise BusUnavailableError from error

    async def purge(self) -> None:
        """Purge what its agents have settled since the last look; the rest stays, as it is theirs to take.

        The stream forgets nothing by itself for a week, and refuses what is new when it is full.
        """
        try:
            self._settled = {name: floor async for name, floor in self._purged()}
        except (NatsError, TimeoutError) as error:
            raise BusUnavailableError from error

    async def _purged(self) -> AsyncGenerator[tuple[str, int]]:
        """Each queue and up to where it is settled, purged up to there."""
        seen = 0
        while page := await self._js.consumers_info(WORK.name, offset=seen):
            for queue in page:
                if queue.config.durable_name is None:
                    continue
                floor = queue.ack_floor.stream_seq if queue.ack_floor is not None else 0
                if floor > self._settled.get(queue.name, 0):
                    await self._js.purge_stream(WORK.name, seq=floor + 1, subject=queue.config.filter_subject)
                yield queue.name, floor
            seen += len(page)
            if len(page) < _PAGE:
                return
