"""Texts of files by their digest, for all connections together: a snapshot names what it does not repeat.

An agent may name any digest: one that is not of its task's owner opens nothing.
"""

from collections import OrderedDict

MAX_CHARACTERS = 16 * 1024 * 1024


class Texts:
    """The latest texts; the ones that were not asked for longest make room."""

    def __init__(self, limit: int = MAX_CHARACTERS) -> None:
        self._limit = limit
        self._texts: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._size = 0

    def keep(self, whose: str, sha256: str, text: str) -> None:
        """Remember a text of somebody's."""
        key = (whose, sha256)
        if key in self._texts:
            self._texts.move_to_end(key)
            return
        self._texts[key] = text
        self._size += len(text)
        while self._size > self._limit and len(self._texts) > 1:
            self._size -= len(self._texts.popitem(last=False)[1])

    def get(self, whose: str, sha256: str) -> str | None:
        """The text of somebody's with this digest, if it is remembered."""
        key = (whose, sha256)
        if key in self._texts:
            self._texts.move_to_end(key)
        return self._texts.get(key)
