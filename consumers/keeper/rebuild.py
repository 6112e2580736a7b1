"""Fold the whole log again into shadow tables, compare, and swap: `python -m consumers.keeper.rebuild`.

The active keeper loses its lease for as long as this takes: accepted work waits in the log (202s say `log`).
Nothing is published: every effect of the log has been published already.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import orjson

from consumers.keeper.fold import POISON, POISON_ALONE, Fold, Inbound, read
from consumers.keeper.loading import Foresight
from consumers.keeper.outbox import NOTHING_ON_ITS_WAY
from consumers.keeper.world import MissingStateError, World
from events.errors import GanglionError
from events.ids import new_id
from producers.reader import Delivery
from storage.database import DatabaseSettings
from storage.keeper import Changes
from storage.parts import LOG_PARTS
from storage.rebuild import Difference, LoggedEvent, RebuildStore

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Report:
    """What a rebuild found: events folded, and each table's difference from what was there."""

    events: int
    tables: list[Difference]
    swapped: bool

    @property
    def same(self) -> bool:
        """Whether the log gives exactly the rows that were there."""
        return all(table.missing == table.extra == 0 for table in self.tables)


async def rebuild(database_url: str, *, swap: bool = True) -> Report:
    """Rebuild and compare; put the result in place unless told otherwise. Raises StoreUnavailableError."""
    store = await RebuildStore.open(database_url, f"rebuild:{new_id()}")
    try:
        await store.hold()
        events = 0
        async for page in store.pages():
            await _fold(store, page)
            events += len(page)
        differences = await store.compare()
        await (store.swap() if swap else store.discard())
        return Report(events, differences, swap)
    finally:
        await store.release()
        await store.close()


async def _fold(store: RebuildStore, page: list[LoggedEvent]) -> None:
    inbound = [(read(_delivery(event), NOTHING_ON_ITS_WAY), event.outcome) for event in page]
    foresight = Foresight(store, {}, {})
    await foresight.foresee([item for item, _ in inbound])
    while True:
        fold = Fold(page[0].epoch, World(foresight.states), 0)
        try:
            _take_all(fold, inbound)
        except MissingStateError as missing:
            await foresight.missed(missing.key)
        else:
            break
    rows = {part: rows for part, rows in fold.finish().rows.items() if part not in LOG_PARTS}
    position = await store.hold()
    await store.write(Changes(rows), position, position)


def _take_all(fold: Fold, inbound: Sequence[tuple[Inbound, str]]) -> None:
    for item, outcome in inbound:
        if outcome in (POISON, POISON_ALONE):
            fold.take_poison(item, "rebuild", alone=outcome == POISON_ALONE)
        else:
            fold.take(item)


def _delivery(event: LoggedEvent) -> Delivery:
    since = event.time - _EPOCH
    stamp = ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000
    return Delivery(event.seq, stamp, "", event.body, None)


def main() -> None:
    """Rebuild the database of DATABASE_URL, print the report as JSON; exit 1 if the rows differed or it is away."""
    parser = argparse.ArgumentParser(prog="rebuild", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only, change nothing")
    check = parser.parse_args().check
    try:
        report = asyncio.run(rebuild(DatabaseSettings().dsn, swap=not check))
    except GanglionError as error:
        sys.exit(f"error: the database of DATABASE_URL cannot be rebuilt: {error} [{error.code}]")
    sys.stdout.write(orjson.dumps({**asdict(report), "same": report.same}, option=orjson.OPT_INDENT_2).decode() + "\n")
    sys.exit(0 if report.same else 1)


if __name__ == "__main__":
    main()
