"""What the keeper announces after each commit, on core NATS (DESIGN 4).

A hint that makes answers quick, never the only way: whoever misses one asks Postgres by event id.
"""

from pydantic import BaseModel, ConfigDict

Outcome = str
"""`applied`, `duplicate`, `refused:<code>`, `poison` or `unknown`."""


class Committed(BaseModel):
    """Everything up to `position` of `epoch` is in Postgres; `outcomes` maps request event ids to outcomes.

    `resent`: how many events the sweep has sent again since this keeper leads.
    """

    model_config = ConfigDict(frozen=True)

    epoch: str
    position: int
    outcomes: dict[str, Outcome] = {}
    resent: int = 0
