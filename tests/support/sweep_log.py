"""How often the sweep had to help, as the keepers' own logs say."""

import json


def resent_in(log: str) -> int:
    """How many events were sent again, in a log of JSON lines."""
    return sum(_resent(line) for line in log.splitlines() if '"swept"' in line)


def _resent(line: str) -> int:
    try:
        said = json.loads(line)
    except ValueError:  # a line that a kill cut short
        return 0
    return int(said["resent"]) if said.get("event") == "swept" else 0
