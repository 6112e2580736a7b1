"""A circuit breaker for calls to one remote service. pybreaker is the state machine; this makes it fit async callers.

pybreaker's own ways to guard a block count a cancelled call (as a failure, or as a success if excluded) and let every
waiting call through once the pause is over. Here a cancelled call counts as nothing, and one probe goes at a time.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pybreaker
import structlog

from events.errors import TransientError

log = structlog.get_logger()

T = TypeVar("T")


class BreakerOpenError(TransientError):
    """The service failed too often and is left alone for a while."""

    code = "breaker_open"


class Breaker:
    """Opens after `failures` in a row, lets one probe through after `pause` seconds, closes after `successes` of them.

    `counts` says which exceptions are the service's fault; any other one proves that it answers, as a result does.
    """

    def __init__(
        self,
        name: str,
        counts: Callable[[BaseException], bool],
        *,
        failures: int = 5,
        pause: float = 60.0,
        successes: int = 3,
    ) -> None:
        self.name = name
        self._pause = timedelta(seconds=pause)
        self._storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=failures,
            reset_timeout=pause,
            success_threshold=successes,
            exclude=[lambda error: not counts(error)],
            state_storage=self._storage,
            listeners=[_Told(name)],
            throw_new_error_on_trip=False,
        )
        self._probing = False

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`, as of the last call."""
        return str(self._breaker.current_state)

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work and count how it went. Raises what it raises, or BreakerOpenError without doing it."""
        probe = self._admit()
        self._probing = self._probing or probe
        try:
            result = await work()
        except Exception as error:
            self._count(error)
            raise
        finally:
            if probe:
                self._probing = False
        self._count(None)
        return result

    def _admit(self) -> bool:
        """Whether this call is a probe. Raises BreakerOpenError if it must not be made."""
        if self.state == pybreaker.STATE_CLOSED:
            return False
        opened_at = self._storage.opened_at
        left = opened_at + self._pause - datetime.now(UTC) if opened_at else timedelta()
        if self._probing or (self.state == pybreaker.STATE_OPEN and left > timedelta()):
            raise BreakerOpenError(retry_after=max(1.0, left.total_seconds()))
        return True

    def _count(self, error: Exception | None) -> None:
        """Tell pybreaker; it raises what it is told, and refuses to hear of calls that began before it opened."""
        try:
            self._breaker.call(_end_with, error)
        except Exception as told:
            if told is not error and not isinstance(told, pybreaker.CircuitBreakerError):
                raise


def _end_with(error: Exception | None) -> None:
    if error is not None:
        raise error


class _Told(pybreaker.CircuitBreakerListener):
    """Says in the log when a breaker changes its state."""

    def __init__(self, name: str) -> None:
        self._name = name

    def state_change(self, _: object, old: object, new: object) -> None:
        log.warning("breaker_changed", breaker=self._name, was=_name(old), now=_name(new))


def _name(state: object) -> str:
    return str(getattr(state, "name", state))
