"""Who writes a file: rules alone, or rules and then a model."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

Tell = Callable[[str], None]
"""Takes each piece of text as the author says it."""


class Page(NamedTuple):
    """A file to write: its path, what rules made of it, what the draft has there, and what was asked for."""

    path: str
    outline: str
    present: str
    instructions: str
    must_hold: tuple[str, ...] = ()


class Written(NamedTuple):
    """A text and the tokens that it cost."""

    text: str
    tokens: int = 0


class Author(Protocol):
    """Turns an outline into a file. May raise an EngineError, whose class says whether to try again."""

    @property
    def name(self) -> str:
        """Who it is, as files and results name it."""

    @property
    def note(self) -> str:
        """One sentence below each file that says who wrote it."""

    async def write(self, page: Page, budget: int, tell: Tell) -> Written:
        """The file's text, spending at most about `budget` tokens."""

    async def close(self) -> None:
        """Let go of what it holds open."""


class RuleAuthor:
    """Takes the outline as it is; no model is asked, and every file says so."""

    name = "rules"
    note = "Written by Ganglion's built-in engine from the request and the draft; no model wrote it."

    async def write(self, page: Page, budget: int, tell: Tell) -> Written:  # noqa: ARG002  # rules spend and say nothing
        """The outline."""
        return Written(page.outline)

    async def close(self) -> None:
        """It holds nothing."""
