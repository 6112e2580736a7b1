"""A listener that reads slowly holds little and hurts nobody."""

import asyncio

from engine import frames
from engine.feed import Feed, Listener
from engine.frames import Frame
from engine.state import written


def update(number: int) -> Frame:
    return frames.state_update(str(number), "draft", {"/a.md": written("x" * number, None)})


async def drained(listener: Listener) -> list[Frame]:
    listener.close()
    found = []
    while (frame := await listener.next()) is not None:
        found.append(frame)
    return found


async def test_of_unread_snapshots_only_the_newest_is_kept_and_of_words_the_last() -> None:
    feed = Feed()
    listener = feed.listen()
    for number in range(3_000):
        feed.publish(update(number))
        feed.publish(frames.llm_stream("/a.md", f"{number} "))
    feed.publish(frames.end())
    kept = await drained(listener)
    assert [frame.event_type for frame in kept].count("on_state_update") == 1
    assert [frame.event_type for frame in kept].count("on_llm_stream") == 2_000
    assert '"2999 "' in kept[-2].text
    assert kept[-1].event_type == "end"


async def test_a_listener_hears_what_comes_while_it_waits_and_nothing_after_it_left() -> None:
    feed = Feed()
    listener, other = feed.listen(), feed.listen()
    waiting = asyncio.create_task(listener.next())
    await asyncio.sleep(0)
    feed.publish(frames.end())
    assert (await waiting) is not None
    feed.leave(listener)
    feed.publish(update(1))
    assert await drained(listener) == []
    assert len(await drained(other)) == 2
