"""What the gateway does for everybody at a time is bounded; here so that no tenant can have all of it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from events.errors import OverloadedError


class Shares:
    """How much of one kind each tenant has in hand."""

    def __init__(self) -> None:
        self._in_hand: Counter[str] = Counter()

    @contextmanager
    def taken(self, tenant: str, *, of: int) -> Iterator[None]:
        """One more of `of` is the tenant's while the block runs. Raises OverloadedError if it has half of them already,
        or if all are in hand.
        """
        if self._in_hand[tenant] >= of / 2 or self._in_hand.total() >= of:
            raise OverloadedError
        self._in_hand[tenant] += 1
        try:
            yield
        finally:
            self._in_hand[tenant] -= 1
            if not self._in_hand[tenant]:
                del self._in_hand[tenant]
