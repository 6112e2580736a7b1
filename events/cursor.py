"""Cursors: `<epoch>-<seq>`, the place of an event in the one log; epochs sort as text."""

import re
from dataclasses import dataclass
from typing import Self

from events.errors import PermanentError

_CURSOR = re.compile(r"([0-9a-z]{1,24})-(\d{1,18})\Z", re.ASCII)


class InvalidCursorError(PermanentError):
    """A cursor is `0` or what an earlier event carried."""

    code = "invalid_cursor"


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the log: the epoch of the stream and the sequence in it."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a cursor; `0` is the beginning of all that is kept. Raises InvalidCursorError."""
        if text == "0":
            return cls("", 0)
        match = _CURSOR.match(text)
        if match is None:
            raise InvalidCursorError
        return cls(match[1], int(match[2]))
