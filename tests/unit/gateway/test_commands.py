"""A command under a key that only the log knows yet: its first body counts there too."""

from uuid import uuid4

import pytest

from events.base import Event, EventData
from events.codec import encode
from events.errors import TransientError
from events.session import SessionControl
from gateway import commands
from gateway.accept import SOURCE, Accepted, Acceptor
from gateway.commands import Commands
from gateway.errors import IdempotencyConflictError
from gateway.http.preferences import Key

KEY = Key("k", uuid4(), uuid4(), "of its body")


class Log:
    """A stream that knows every id, and a keeper that is away."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.remembers = True

    async def accept(self, event: Event[EventData]) -> Accepted:
        first_seq = 1 if self.remembers and event.id in self.bodies else None
        self.bodies.setdefault(event.id, encode(event))
        return Accepted(None, first_seq, 1)

    async def stored(self, _: int) -> bytes | None:
        return next(iter(self.bodies.values()))

    earlier = Acceptor.earlier

    @property
    def _bus(self) -> "Log":
        return self


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Commands:
    async def not_folded(*_: object) -> None:
        return None

    monkeypatch.setattr(commands, "settled", not_folded)
    return Commands(Log(), None)  # type: ignore[arg-type]  # enough of both


def update(title: str) -> Event[EventData]:
    data = SessionControl(session_id="s", action="update", by="o", title=title)
    return Event.first(data, source=SOURCE, tenant="t", owner="o", session_id="s", event_id=KEY.event_id)


async def test_a_repeat_is_the_first_one_and_another_body_under_its_key_is_refused(asking: Commands) -> None:
    first = await asking.ask(update("one"), KEY)
    again = await asking.ask(update("one"), KEY)
    assert (first.outcome, first.headers) == (None, {})
    assert (again.outcome, again.headers, again.event.id) == (None, {"Idempotency-Replayed": "true"}, first.event.id)
    with pytest.raises(IdempotencyConflictError):
        await asking.ask(update("two"), KEY)


async def test_whether_it_is_the_same_may_be_for_the_one_who_asks_to_say(asking: Commands) -> None:
    await asking.ask(update("one"), KEY, lambda one, other: type(one) is type(other))
    assert (await asking.ask(update("two"), KEY, lambda one, other: type(one) is type(other))).replayed


async def test_a_log_that_does_not_say_what_it_has_leaves_the_outcome_open(
    asking: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: object) -> bytes:
        raise TransientError

    await asking.ask(update("one"), KEY)
    monkeypatch.setattr(Log, "stored", silent)
    with pytest.raises(TransientError):
        await asking.ask(update("one"), KEY)
