"""The dead letter stream: letters are kept for 30 days, read by number, and taken out when they are dealt with."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime

import orjson
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import RawStreamMsg
from nats.js.errors import APIError, NotFoundError
from pydantic import ValidationError

from events.errors import BusUnavailableError
from events.letter import DeadLetter
from events.streams import DLQ
from producers.publisher import Ack, Publisher

_TIMEOUT = 2.0
_LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A letter as it is kept: its number, and when it was written."""

    number: int
    time: datetime | None
    letter: DeadLetter


async def post(publisher: Publisher, letter: DeadLetter) -> asyncio.Future[Ack]:
    """Write a letter; the same one twice within a day is kept once."""
    body = orjson.dumps(letter.model_dump(mode="json", exclude_none=True))
    return await publisher.send_bytes(letter.letter_subject, body, letter.identity, content_type="application/json")


class LetterBox:
    """Reads and empties the stream. Every method raises BusUnavailableError when NATS does not answer."""

    def __init__(self, client: Client) -> None:
        self._js = client.jetstream(timeout=_TIMEOUT)

    async def page(self, tenant: str, *, consumer: str | None, after: int, limit: int) -> tuple[list[Kept], int | None]:
        """Up to `limit` letters of a tenant, oldest first, from behind number `after`; and where to go on, if anywhere.

        At most 1,000 letters are looked at: a page may be short and still have a next one.
        """
        found: list[Kept] = []
        wanted = f"dlq.{consumer or '*'}.>"
        for _ in range(_LOOKED_AT):
            message = await self._read(after + 1, wanted)
            if message is None or message.seq is None:
                return found, None
            after = message.seq
            kept = _kept(message)
            if kept is not None and kept.letter.tenant == tenant:
                found.append(kept)
            if len(found) == limit:
                return found, after
        return found, after

    async def all(self) -> AsyncGenerator[Kept]:
        """Every letter, whoever's it is, oldest first."""
        number = 0
        while (message := await self._read(number + 1, "dlq.>")) is not None and message.seq is not None:
            number = message.seq
            if (kept := _kept(message)) is not None:
                yield kept

    async def get(self, number: int) -> Kept | None:
        """One letter, or None if there is none of this number."""
        message = await self._read(number, None)
        return None if message is None else _kept(message)

    async def drop(self, number: int) -> None:
        """Take a letter out; one that is gone already is no error."""
        try:
            await self._js.delete_msg(DLQ.name, number)
        except APIError as error:
            if error.code != 404 and await self._read(number, None) is not None:
                raise BusUnavailableError from error
        except (NatsError, TimeoutError, OSError) as error:
            raise BusUnavailableError from error

    async def _read(self, number: int, following: str | None) -> RawStreamMsg | None:
        """The letter of a number, or the first from there on whose subject matches."""
        try:
            if following is None:
                return await self._js.get_msg(DLQ.name, seq=number)
            return await self._js.get_msg(DLQ.name, seq=number, subject=following, next=True)
        except NotFoundError:
            return None
        except (NatsError, TimeoutError, OSError) as error:
            raise BusUnavailableError from error


def _kept(message: RawStreamMsg) -> Kept | None:
    """None for what is no letter of ours: whoever may write to the stream may write anything."""
    try:
        return Kept(message.seq or 0, message.time, DeadLetter.model_validate_json(message.data or b""))
    except ValidationError:
        return None
