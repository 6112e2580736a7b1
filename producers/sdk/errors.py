"""What can go wrong for a producer: refused for good, not delivered in time, or too much waiting to be delivered."""

from collections.abc import Sequence

from events.base import JsonObject


class ProducerError(Exception):
    """Something a producer asked for did not happen."""


class RefusedError(ProducerError):
    """Ganglion says no, and will say so again: `problem` is its RFC 9457 answer, `code` is stable."""

    def __init__(self, status: int, problem: JsonObject) -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("code") or "refused")
        detail = problem.get("detail") or problem.get("title") or "the request was refused"
        super().__init__(f"{detail}{_faults(problem)} [{status} {self.code}]")


class UnavailableError(ProducerError):
    """It was not delivered in the time given; trying again with the same event id is safe."""


class BufferFullError(ProducerError):
    """As many events wait to be delivered as may."""


class UndeliveredError(ProducerError):
    """The producer closed while events were waiting: here they are."""

    def __init__(self, events: Sequence[JsonObject]) -> None:
        self.events = tuple(events)
        super().__init__(f"{len(self.events)} events were not delivered")


class TryAgainError(Exception):
    """One try failed and another may not; `after` are the seconds to wait that were asked for."""

    def __init__(self, why: str, after: float | None = None) -> None:
        self.why = why
        self.after = after
        super().__init__(why)


def judged(status: int, problem: JsonObject, retry_after: str | None) -> Exception:
    """The error of an answer that is no success."""
    if problem.get("retryable") or status in {429, 502, 503, 504}:
        asked = retry_after or ""
        return TryAgainError(f"{problem.get('code') or status}", float(asked) if asked.isdecimal() else None)
    return RefusedError(status, problem)


def _faults(problem: JsonObject) -> str:
    """Which members were wrong, as far as the answer says."""
    faults = problem.get("errors")
    if not isinstance(faults, list):
        return ""
    named = [f"{fault.get('field')}: {fault.get('message')}" for fault in faults[:3] if isinstance(fault, dict)]
    return f" ({'; '.join(named)})" if named else ""
