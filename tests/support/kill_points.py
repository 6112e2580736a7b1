"""Points at which a process under test kills itself; none of this is in the product.

`kill_consumers.py` and `kill_gateway.py` are the real programs with wrappers around their methods. A point is armed
by a file of its name in the folder `GANGLION_TEST_ARMED`; whoever reaches it takes the file away and sends itself
SIGKILL, so each armed point strikes once.

Two settings are made stricter, so that repeats come soon and are not hidden: messages are delivered again after 3 s,
and the stream forgets the ids it has seen after 100 ms. Every repeat then has to be recognised by what is derived.
"""

import os
import signal
from pathlib import Path
from typing import Self

from events.streams import BUS, DURABLES

BEFORE_ANNOUNCE = "keeper-before-announce"
BEFORE_PUBLISH = "keeper-before-publish"
FROZEN_BEFORE_PUBLISH = "keeper-frozen-before-publish"
AFTER_PUBLISH = "keeper-after-publish"
AFTER_ANNOUNCE = "keeper-after-announce"
REFLEX_BEFORE_ACK = "reflex-before-ack"
ROUTER_BEFORE_ACK = "router-before-ack"
AGENT_HANGS = "agent-hangs"
GATEWAY_AFTER_ACK = "gateway-after-ack"
STRANGE_RESULT = "strange-result"

FOLDER = "GANGLION_TEST_ARMED"
ACK_WAIT = 3.0


class Points:
    """The armed points of one test stack."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of_environment(cls) -> Self:
        return cls(Path(os.environ[FOLDER]))

    def arm(self, point: str) -> None:
        (self._folder / point).touch()

    def is_armed(self, point: str) -> bool:
        return (self._folder / point).exists()

    def taken(self, point: str) -> bool:
        """Whether it was armed; it is not any more."""
        try:
            (self._folder / point).unlink()
        except FileNotFoundError:
            return False
        return True

    def strike(self, point: str, number: signal.Signals = signal.SIGKILL) -> None:
        if self.taken(point):
            os.kill(os.getpid(), number)


def replace_method(owner: type, name: str, function: object) -> None:
    """Put a wrapper in a method's place; fails if the product has no such method any more."""
    assert callable(getattr(owner, name))
    setattr(owner, name, function)


def make_stricter() -> None:
    """The tables are frozen for good reasons; these processes are the exception."""
    object.__setattr__(BUS, "duplicate_window", 0.1)
    for durable in DURABLES:
        object.__setattr__(durable, "ack_wait", ACK_WAIT)
