"""The clocks of the roles: each can be set wrong while it runs, where Debian's `faketime` is installed.

libfaketime reads what it adds to the time of day from a file. Clocks that only go forward (`CLOCK_MONOTONIC`) stay as
they are, as after a wrong step of NTP. The servers keep the right time: theirs is the one that decides.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

_PLACES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1")


def faketime() -> Path | None:
    """The library, if it is installed."""
    return next((found for place in _PLACES for found in Path("/").glob(place.removeprefix("/"))), None)


class Clocks:
    """The clock of each of the named roles, kept in `folder`."""

    def __init__(self, folder: Path, roles: Sequence[str]) -> None:
        self._library = faketime()
        self._folder = folder
        self._folder.mkdir()
        self._roles = roles
        for role in roles:
            self.set(role, 0)

    def env_of(self) -> Mapping[str, Mapping[str, str]]:
        """What each role needs in its environment; nothing without the library."""
        if self._library is None:
            return {}
        common = {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_CACHE_DURATION": "1",
        }
        return {role: {**common, "FAKETIME_TIMESTAMP_FILE": str(self._file(role))} for role in self._roles}

    def set(self, role: str, seconds: int) -> None:
        """From now on (within a second) the role's clock is off by so much."""
        written = self._file(role).with_suffix(".new")
        written.write_text(f"{seconds:+d}s\n")
        written.replace(self._file(role))

    def _file(self, role: str) -> Path:
        return self._folder / role
