"""The queues of outside agents: one durable pull consumer each on the stream WORK, over the agent's own subject."""

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from events.errors import BusUnavailableError
from events.streams import WORK
from events.work import work_durable, work_subject

ACK_WAIT = 30.0
"""Seconds after which an assignment that its agent is silent about is given to it again."""
_MAX_ACK_PENDING = 1_000


class WorkQueues:
    """Makes and removes them; raises BusUnavailableError."""

    def __init__(self, client: Client) -> None:
        self._js = client.jetstream()

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

    async def remove(self, tenant: str, agent_id: str) -> None:
        """Delete an agent's queue and what is left in it."""
        try:
            await self._js.delete_consumer(WORK.name, work_durable(tenant, agent_id))
        except NotFoundError:
            pass
        except (NatsError, TimeoutError) as error:
            raise BusUnavailableError from error
        try:
            await self._js.purge_stream(WORK.name, subject=work_subject(tenant, agent_id))
        except (NatsError, TimeoutError) as error:
            raise BusUnavailableError from error
