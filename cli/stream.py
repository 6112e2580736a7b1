"""Events as they happen, by the SDK; what it cannot mend is an error of the command."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from cli.errors import CommandError, code_of_refusal
from cli.place import Place
from producers.sdk import EventProducer, Happening, RefusedError, Snapshot

__all__ = ["Happening", "Snapshot", "Subscription"]


class Subscription:
    """One room, followed for as long as `follow` is iterated.

    `after` is a cursor, `0` for all that is kept, None for what happens from now on. `say` is told in one line when
    the connection is lost. `ready` is set when the gateway has confirmed: what happens then will be told.
    """

    def __init__(self, where: Place, room: str, *, after: str | None = None, say: Callable[[str], None]) -> None:
        self._producer = EventProducer(where.url, where.token, say=say)
        self._watch = self._producer.watch(room, after=after)
        self.ready = self._watch.ready

    @property
    def cursor(self) -> str | None:
        """Where the reading stands."""
        return self._watch.cursor

    async def follow(self) -> AsyncGenerator[Happening | Snapshot]:
        """Every event of the room in order, until the gateway says `end`; raises CommandError when it refuses."""
        async with self._producer:
            try:
                async with aclosing(aiter(self._watch)) as told:
                    async for one in told:
                        if isinstance(one, Happening | Snapshot):
                            yield one
            except RefusedError as error:
                raise CommandError(str(error), exit_code=code_of_refusal(error.status)) from None
