"""A subscription writes what is small at once, leaves what is large for catching up, and cuts off only who is stuck."""

from events.cursor import Cursor
from gateway.live.frames import Envelope, Frame
from gateway.live.outlet import QueueOutlet
from gateway.live.rooms import Ids, Room
from gateway.live.subscription import LARGE, MAX_LAG, Subscription
from gateway.live.ws import JsonFrames

ROOM = Room("tasks", "acme", "alice")


def frame(seq: int, size: int = 100) -> Frame:
    envelope = Envelope("run.progress", ("/x", str(seq)), "acme", "alice", Ids("t", None, None), {})
    return Frame(envelope, Cursor("e", seq), b"x" * size)


def live() -> tuple[Subscription, QueueOutlet]:
    outlet = QueueOutlet()
    subscription = Subscription(ROOM, outlet, JsonFrames("a"))
    subscription.go_live(())
    return subscription, outlet


async def taken(outlet: QueueOutlet) -> None:
    if not outlet.empty:
        await outlet.next()


async def test_a_large_event_is_left_for_catching_up() -> None:
    subscription, outlet = live()
    behind: list[Subscription] = []
    subscription.on_behind = behind.append
    subscription.deliver(frame(1))
    assert (subscription.sent.seq, behind) == (1, [])
    await taken(outlet)
    subscription.deliver(large := frame(2, LARGE + 1))
    assert (subscription.sent.seq, behind, outlet.empty) == (1, [subscription], True)
    subscription.write_all([large])
    assert subscription.sent == large.cursor


async def test_a_reader_that_takes_what_it_is_given_may_be_behind_by_any_number_of_bytes_in_all() -> None:
    subscription, outlet = live()
    for seq in range(1, 40):
        subscription.deliver(one := frame(seq, LARGE + 1))
        subscription.write_all([one])
        assert outlet.closing is None
        await taken(outlet)


async def test_a_reader_that_takes_nothing_is_sent_away_when_it_is_a_mebibyte_behind() -> None:
    subscription, outlet = live()
    count = MAX_LAG // LARGE
    first = frame(1, LARGE + 1)
    subscription.deliver(first)
    subscription.write_all([first])
    assert outlet.blocked
    for seq in range(2, count + 2):
        assert outlet.closing is None
        subscription.deliver(frame(seq, LARGE + 1))
    assert outlet.closing is not None
    assert (outlet.closing.code, outlet.closing.reason) == (4408, "e-1")
