"""What keepers announce: the place goes forward only, the outcomes are heard from whoever committed them."""

import time
from types import SimpleNamespace
from typing import cast

from nats.aio.msg import Msg

from events.announce import Committed
from events.cursor import Cursor
from gateway.commits import Commits
from gateway.lag import Lag


def announced(epoch: str, position: int, **outcomes: str) -> Msg:
    said = Committed(epoch=epoch, position=position, outcomes=outcomes, resent=0)
    return cast("Msg", SimpleNamespace(data=said.model_dump_json().encode()))


async def test_a_keeper_of_an_epoch_that_is_over_takes_nobody_back_to_it() -> None:
    async def nothing(_: object) -> dict[str, str]:
        return {}

    commits = Commits(nothing, Lag(time.monotonic))
    epochs: list[str] = []
    commits.epoch_listeners.append(epochs.append)
    await commits.on_announce(announced("a", 7))
    await commits.on_announce(announced("b", 1))
    waiting, other = commits.expect("committed"), commits.expect("unknown")
    await commits.on_announce(announced("a", 9, committed="applied"))
    assert (commits.at, epochs) == (Cursor("b", 1), ["a", "b"])
    assert (waiting.result(), other.done()) == ("applied", False)
