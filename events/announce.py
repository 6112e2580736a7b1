"""What keeper and gateways tell each other on core NATS (DESIGN 4).

The keeper announces each commit: a hint that makes answers quick, never the only way, since whoever misses one asks
Postgres by event id. A gateway tells of an event that it has shown and that the log has lost (docs/adr/0014).
"""

from pydantic import BaseModel, ConfigDict

Outcome = str
"""`applied`, `duplicate`, `refused:<code>`, `poison` (`poison:alone` if its task could not be ended) or `unknown`."""


class Committed(BaseModel):
    """Everything up to `position` of `epoch` is in Postgres; `outcomes` maps request event ids to outcomes.

    `resent`: how many events the sweep has sent again since this keeper leads.
    """

    model_config = ConfigDict(frozen=True)

    epoch: str
    position: int
    outcomes: dict[str, Outcome] = {}
    resent: int = 0


class Missed(BaseModel):
    """In `epoch` the log had an event at `seq`, stored at `stamp` (ns), and has it no more: others may stand there.

    Said again until a new epoch begins.
    """

    model_config = ConfigDict(frozen=True)

    epoch: str
    seq: int
    stamp: int
