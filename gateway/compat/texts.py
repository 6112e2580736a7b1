"""Texts of files by their digest, for all connections together: a snapshot names what it does not repeat."""

from collections import OrderedDict

MAX_CHARACTERS = 16 * 1024 * 1024


class Texts:
    """The latest texts; the ones that were not asked for longest make room."""

    def __init__(self, limit: int = MAX_CHARACTERS) -> None:
        self._limit = limit
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._size = 0

    def keep(self, sha256: str, text: str) -> None:
        """Remember a text."""
        if sha256 in self._texts:
            self._texts.move_to_end(sha256)
            return
        self._texts[sha256] = text
        self._size += len(text)
        while self._size > self._limit and len(self._texts) > 1:
            self._size -= len(self._texts.popitem(last=False)[1])

    def get(self, sha256: str) -> str | None:
        """The text with this digest, if it is remembered."""
        if sha256 in self._texts:
            self._texts.move_to_end(sha256)
        return self._texts.get(sha256)
