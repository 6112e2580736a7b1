"""A command becomes an event, and the answer is what the keeper made of it (DESIGN rule 2)."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import eq

from events.base import Event, EventData
from events.codec import decode
from events.errors import GanglionError
from events.task import QUOTA_EXCEEDED
from gateway.accept import SOURCE, Accepted, Acceptor
from gateway.commits import APPLIED, DUPLICATE
from gateway.errors import IdempotencyConflictError
from gateway.http.preferences import Key
from gateway.tenants.errors import QuotaExceededError
from storage.log import settled
from storage.reading import Database

KEPT = "The command is kept in the log; the database will follow."
"""What 202 says: the outcome is not known yet."""
Same = Callable[[EventData, EventData], bool]
"""Whether two commands ask for the same."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The outcome of a command's event, None while it is not known.

    `event` is the event as the log has it; `replayed`: it was given before, with the same key.
    """

    outcome: str | None
    event: Event[EventData]
    replayed: bool = False

    @property
    def refusal(self) -> str | None:
        """Why the keeper refused it; None if it did not.

        Raises GanglionError if it did not understand it, QuotaExceededError.
        """
        if self.outcome is None or self.outcome == APPLIED:
            return None
        verdict, _, code = self.outcome.partition(":")
        if verdict != "refused":
            raise GanglionError("The event was not understood by the keeper.")
        if code == QUOTA_EXCEEDED:
            raise QuotaExceededError
        return code

    @property
    def headers(self) -> dict[str, str]:
        """What the answer says of a repeat."""
        return {"Idempotency-Replayed": "true"} if self.replayed else {}


class Commands:
    """Publishes commands, each once."""

    def __init__(self, acceptor: Acceptor, engine: Database) -> None:
        self._acceptor = acceptor
        self._engine = engine

    async def ask(self, event: Event[EventData], key: Key | None, same: Same = eq) -> Answered:
        """What becomes of the event; of the first one with this key, if there was one (its id is the key's).

        Raises IdempotencyConflictError if that asked for something else, not the `same`, and what `Acceptor.accept`
        raises.
        """
        earlier = await self._logged(event, same) if key is not None else None
        if earlier is not None:
            return earlier
        accepted = await self._acceptor.accept(event)
        if key is None:
            return Answered(accepted.outcome, event)
        if accepted.outcome is None:
            return await self._kept(event, accepted, same)
        # A command under the same key shares our event's id: what was announced may have been said of that one.
        logged = await self._logged(event, same)
        if logged is not None and (accepted.first_seq is not None or accepted.outcome == DUPLICATE):
            return logged
        return Answered(accepted.outcome, event)

    async def is_known(self, key: Key | None) -> bool:
        """Whether what was asked for with this key first is kept: its answer is this one's, however things are now."""
        return key is not None and await settled(self._engine, SOURCE, str(key.event_id)) is not None

    async def first_of_many(self, key: Key) -> Event[EventData] | None:
        """The event that has the id of the key itself, of a request that more than one event follows from.

        Raises IdempotencyConflictError if that was a request with another body.
        """
        found = await settled(self._engine, SOURCE, str(key.event_id))
        if found is None:
            return None
        logged = decode(found.body)
        if getattr(logged.data, "body_sha256", None) != key.body_sha256:
            raise IdempotencyConflictError
        return logged

    async def _kept(self, event: Event[EventData], accepted: Accepted, same: Same) -> Answered:
        """What is in the log only: the event, or the first one with its id while the log itself remembers that."""
        first = await self._acceptor.earlier(accepted)
        if first is None:
            return Answered(None, event)
        if not same(first.data, event.data):
            raise IdempotencyConflictError
        return Answered(None, first, replayed=True)

    async def _logged(self, event: Event[EventData], same: Same) -> Answered | None:
        found = await settled(self._engine, SOURCE, event.id)
        if found is None:
            return None
        logged = decode(found.body)
        if not same(logged.data, event.data):
            raise IdempotencyConflictError
        return Answered(found.outcome, logged, replayed=True)
