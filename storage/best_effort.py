"""Redis, best effort, for what can do without it: whoever gets no answer at once goes on without one."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

PATIENCE = 0.1
"""Seconds for an answer."""
LEFT_ALONE = 5.0
"""Seconds in which nothing is asked after a failure."""
_CONNECTIONS = 16


def best_effort(url: str, *, patience: float = PATIENCE) -> Redis:
    """A client that tries once.

    Who finds all connections taken waits for one: a crowd is not taken for a Redis that is away. How long is for the
    caller to bound.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=None,
        socket_timeout=patience,
        socket_connect_timeout=patience,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)
