"""A refinement's thread ends once its task has ended well and its proposal is there, in whichever order they come."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import orjson
import pytest
from starlette.websockets import WebSocket

from events.cursor import Cursor
from gateway.compat.refinements import RefinementSocket
from gateway.compat.socket import Surroundings
from gateway.live.frames import Frame, make_frame, read_envelope
from gateway.live.protocol import Wire, WireOutlet
from gateway.live.rooms import Room

ROOM = Room("task", "acme", "alice", "00000000-0000-0000-0000-000000000001")
SUCCEEDED, FAILED, PENDING = "task.succeeded", "task.failed", "proposal.pending"


def frame_of(event: str, seq: int) -> Frame:
    """An event of the thread, at its place."""
    said = {
        "type": f"io.ganglion.{event}.v1",
        "source": "/consumers/keeper",
        "id": f"{event}-{seq}",
        "tenantid": "acme",
        "ownerid": "alice",
        "taskid": ROOM.id,
        "data": {"kind": "refinement"},
    }
    envelope = read_envelope(orjson.dumps(said))
    assert envelope is not None
    return make_frame(envelope, Cursor("a", seq), datetime(2026, 1, 1, tzinfo=UTC))


async def socket() -> RefinementSocket:
    """One that is let in already."""
    outlet = WireOutlet(cast("Wire", SimpleNamespace(end=lambda *_: None)))
    websocket = SimpleNamespace(scope={"state": {"ganglion.wire": outlet}})
    return RefinementSocket(cast("WebSocket", websocket), cast("Surroundings", None))


@pytest.mark.parametrize(
    ("events", "ends"),
    [
        ([SUCCEEDED, "proposal.extracting", PENDING], 2),
        (["proposal.extracting", SUCCEEDED, PENDING], 2),
        (["proposal.extracting", PENDING, SUCCEEDED], 2),
        (["proposal.extracting", PENDING, "task.running", SUCCEEDED], 3),
        (["proposal.superseded", "task.running", SUCCEEDED], 2),
        ([FAILED], 0),
        ([SUCCEEDED, "proposal.extracting"], None),
    ],
)
async def test_a_thread_ends_with_the_later_of_its_task_and_its_proposal(events: list[str], ends: int | None) -> None:
    thread, heard = await socket(), []
    for seq, event in enumerate(events, 1):
        frame = frame_of(event, seq)
        said = list(thread.event(ROOM, frame))
        if frame.is_final:
            said += thread.over()
        heard.append([one["event_type"] for one in said])
    assert [place for place, kinds in enumerate(heard) if "end" in kinds] == ([] if ends is None else [ends])
    await asyncio.sleep(0)
    assert (thread.outlet.closing is not None) == (ends is not None)
