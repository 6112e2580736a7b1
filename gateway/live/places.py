"""Places: how many sockets and streams a user may have open at one gateway, so that nobody takes them all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.auth.bearer import Principal
from gateway.errors import RateLimitedError

MOST = 10_000


class TooManyOpenError(RateLimitedError):
    """You have as many sockets and streams open here as one user may: close some, or come back later."""

    code = "too_many_open"


class Places:
    """Counts what each user has open in this process; at most `most` of both kinds together."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._taken: Counter[tuple[str, str]] = Counter()

    @property
    def open(self) -> int:
        """How many are taken, by whomever."""
        return self._taken.total()

    def refuse_if_full(self, principal: Principal) -> None:
        """Raise TooManyOpenError for who has them all."""
        if self._taken.get(_whose(principal), 0) >= self.most:
            raise TooManyOpenError

    def take(self, principal: Principal) -> None:
        """One more. Raises TooManyOpenError."""
        self.refuse_if_full(principal)
        self._taken[_whose(principal)] += 1

    def give_back(self, principal: Principal) -> None:
        """One less."""
        whose = _whose(principal)
        self._taken[whose] -= 1
        if not self._taken[whose]:
            del self._taken[whose]

    @contextmanager
    def taken(self, principal: Principal) -> Iterator[None]:
        """A place for as long as the block runs, for who was not refused a moment ago."""
        self._taken[_whose(principal)] += 1
        try:
            yield
        finally:
            self.give_back(principal)


def _whose(principal: Principal) -> tuple[str, str]:
    return principal.tenant, principal.owner
