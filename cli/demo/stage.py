"""What an act of the demo is given, and how it ends."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from cli.output import Output
from cli.place import Place


@dataclass(frozen=True, slots=True)
class Stage:
    """A running stack with a token for it; `home` is its state folder, `within` the seconds an act may take."""

    place: Place
    output: Output
    home: Path
    within: float


@dataclass(frozen=True, slots=True)
class Ending:
    """How many things an act tried, and what is wrong with some of them."""

    tried: int
    faults: tuple[str, ...] = ()


Act = Callable[[Stage], Awaitable[Ending]]
