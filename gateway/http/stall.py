"""How long a peer has taken nothing of what waits for it."""


class Stall:
    """Begins when the transport is full and ends when there is room; between them it is looked at now and then.

    Who takes a little from time to time is slow, not stalled.
    """

    __slots__ = ("_since", "_unsent")

    def __init__(self) -> None:
        self._since: float | None = None
        self._unsent = 0

    @property
    def is_on(self) -> bool:
        """Whether anything waits for the peer."""
        return self._since is not None

    def begin(self, now: float) -> None:
        """The peer fell behind."""
        self._since, self._unsent = now, 0

    def end(self) -> None:
        """The peer has caught up, or nobody waits for it any more."""
        self._since = None

    def lasts(self, now: float, unsent: int) -> float:
        """Seconds since so many bytes or fewer wait; 0 while nothing does."""
        if self._since is None:
            return 0.0
        if unsent < self._unsent:
            self._since = now
        self._unsent = unsent
        return now - self._since
