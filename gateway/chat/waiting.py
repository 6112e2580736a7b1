"""Waiting for a turn: how far it is, seen through a subscription to its task like any other subscriber's.

A turn has 30 s from its run's start; who still waits for the run to begin after 30 s is told where to look instead.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from events.task import FINAL, TURN_SECONDS
from gateway.encoding import to_json
from gateway.live.frames import Frame
from gateway.live.hub import Hub
from gateway.live.outlet import QueueOutlet
from gateway.live.replay import Replayer
from gateway.live.rooms import Room
from gateway.live.speech import Saying
from gateway.live.subscription import Fields, Subscription

QUEUED = 30.0
RUNNING = TURN_SECONDS + 2.0
"""The runner ends a turn after TURN_SECONDS; this long it takes to hear of it at the worst."""
AT_MOST = 60.0

Outcome = Literal["final", "queued", "timeout"]


class TurnWire:
    """What a subscription to a turn's task tells: its course, and with `streaming` the words for the client too."""

    def __init__(self, *, streaming: bool) -> None:
        self.streaming = streaming
        self._changed = asyncio.Event()
        self.status = ""
        self.lost = False
        self.running_since: float | None = None

    def event(self, frame: Frame) -> bytes | None:
        """A state of the turn, or a use of a tool."""
        if frame.is_state:
            self._note(frame.event.partition(".")[2])
            data = frame.data()["data"]
            shown = (
                {name: data.get(name) for name in ("task_id", "attempt", "reason")} if isinstance(data, dict) else {}
            )
            status = {"status": frame.event.partition(".")[2], **shown}
            return self._said("status", status, f"id: {frame.cursor}\n") if self.streaming else None
        if frame.event == "run.tool_called" and self.streaming:
            data = frame.data()["data"]
            names = {"tool": "tool_name", "parameters": "parameters", "result": "result", "status": "status"}
            shown = {name: data.get(field) for field, name in names.items()} if isinstance(data, dict) else {}
            return self._said("tool_call", shown, f"id: {frame.cursor}\n")
        return None

    def delta(self, saying: Saying, offset: int, text: str) -> bytes | None:
        """Words; another `execution_id` begins anew."""
        return self._said("token", {"text": text, "offset": offset, "execution_id": saying.facts["execution_id"]})

    def control(self, kind: str, fields: Fields) -> bytes | None:
        """A snapshot stands for what was missed; after an error only the database knows."""
        if kind == "snapshot":
            data = fields.get("data")
            self._note(str(data.get("status")) if isinstance(data, dict) else "")
        elif kind == "error":
            self.let_go()
            return b": lost\n\n" if self.streaming else None
        return None

    @property
    def final(self) -> bool:
        """Whether the turn has ended."""
        return self.status in FINAL

    @property
    def is_overdue(self) -> bool:
        """Whether the run has gone on for longer than any turn may."""
        since = self.running_since
        return since is not None and asyncio.get_running_loop().time() >= since + RUNNING

    def let_go(self) -> None:
        """The process stops: wait no more."""
        self.lost = True
        self._changed.set()

    async def outcome(self) -> Outcome:
        """Until the turn has ended, its run has taken too long, or it has waited too long for its run."""
        began = asyncio.get_running_loop().time()
        while not (self.final or self.lost):
            since = self.running_since
            until = min(began + AT_MOST, began + QUEUED if since is None else since + RUNNING)
            try:
                async with asyncio.timeout_at(until):
                    await self._changed.wait()
                self._changed.clear()
            except TimeoutError:
                return "timeout" if self.is_overdue else "queued"
        return "final" if self.final else "queued"

    def _note(self, status: str) -> None:
        self.status = status
        self.running_since = asyncio.get_running_loop().time() if status == "running" else None
        self._changed.set()

    def _said(self, name: str, data: Fields, place: str = "") -> bytes:
        return place.encode() + sse(name, data)


class Waiting:
    """Everybody who waits for a turn in this process; nothing of it outlives the request."""

    def __init__(self, hub: Hub, replayer: Replayer) -> None:
        self._hub = hub
        self._replayer = replayer
        self._wires: dict[TurnWire, QueueOutlet] = {}

    @contextmanager
    def on(self, room: Room, wire: TurnWire) -> Iterator[QueueOutlet]:
        """Follow a turn from now on; enter before its event is published, and nothing is missed."""
        outlet = QueueOutlet()
        subscription = Subscription(room, outlet, wire, deltas=wire.streaming)
        place = self._hub.position  # of before a break, while the hub begins anew
        self._replayer.start(subscription, place if place.epoch else None)
        self._wires[wire] = outlet
        try:
            yield outlet
        finally:
            del self._wires[wire]
            self._replayer.stop(subscription)

    def drain(self) -> None:
        """Let all that wait go: they are told where to look."""
        for wire, outlet in self._wires.items():
            wire.let_go()
            outlet.close(1012, "restart")


def sse(name: str, data: object) -> bytes:
    """One server-sent event (WHATWG HTML, 9.2)."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), to_json(data))
