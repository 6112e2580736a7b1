"""`python -m tests.support.kill_consumers [NAME…]`: the consumers, which die at armed points (kill_points.py)."""

import asyncio
import signal
from collections.abc import Sequence

from nats.aio.msg import Msg

from consumers.__main__ import main
from consumers.keeper.fold import Outgoing
from consumers.keeper.outbox import Outbox
from consumers.keeper.term import Term
from consumers.runner.agent import Answer, Reporter, Work
from consumers.runner.extractive import ExtractiveAgent
from events.base import JsonObject
from tests.support.kill_points import (
    AFTER_ANNOUNCE,
    AFTER_PUBLISH,
    AGENT_HANGS,
    BEFORE_ANNOUNCE,
    BEFORE_PUBLISH,
    FROZEN_BEFORE_PUBLISH,
    REFLEX_BEFORE_ACK,
    ROUTER_BEFORE_ACK,
    STRANGE_RESULT,
    Points,
    make_stricter,
    replace_method,
)

STRANGE: JsonObject = {"text": "a\0b\ud800c", "na\0me\udfff": ["\0", {"deep": "\ud83d"}]}
"""A result that neither UTF-8 nor Postgres can hold."""


def _wrap_keeper(points: Points) -> None:
    tell, publish, send = Term._tell, Outbox.publish, Outbox._send

    async def holding_send(self: Outbox) -> None:
        if not points.is_armed(AFTER_ANNOUNCE):
            await send(self)

    async def dying_publish(self: Outbox, events: Sequence[Outgoing]) -> None:
        if events:
            points.strike(BEFORE_PUBLISH)
            points.strike(FROZEN_BEFORE_PUBLISH, signal.SIGSTOP)
        await publish(self, events)
        if events and points.is_armed(AFTER_PUBLISH):
            await self._publisher._client.flush()
            points.strike(AFTER_PUBLISH)

    async def dying_tell(self: Term, outcomes: dict[str, str]) -> None:
        if outcomes:
            points.strike(BEFORE_ANNOUNCE)
        await tell(self, outcomes)
        if self._outbox._waiting and points.is_armed(AFTER_ANNOUNCE):
            await self._client.flush()
            points.strike(AFTER_ANNOUNCE)

    replace_method(Term, "_tell", dying_tell)
    replace_method(Outbox, "publish", dying_publish)
    replace_method(Outbox, "_send", holding_send)


def _wrap_workers(points: Points) -> None:
    ack, run = Msg.ack, ExtractiveAgent.run

    async def dying_ack(self: Msg) -> None:
        for consumer, point in (("reflex", REFLEX_BEFORE_ACK), ("router", ROUTER_BEFORE_ACK)):
            if f".{consumer}." in self.reply:
                points.strike(point)
        await ack(self)

    async def strange_run(self: ExtractiveAgent, work: Work, reporter: Reporter) -> Answer:
        if points.taken(AGENT_HANGS):
            await asyncio.Event().wait()
        if points.taken(STRANGE_RESULT):
            return Answer(STRANGE)
        return await run(self, work, reporter)

    replace_method(Msg, "ack", dying_ack)
    replace_method(ExtractiveAgent, "run", strange_run)


if __name__ == "__main__":
    armed = Points.of_environment()
    make_stricter()
    _wrap_keeper(armed)
    _wrap_workers(armed)
    main()
