"""One run: requests, commands and faults at random out of one seed, then peace, until everything has come to rest."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from redis.asyncio import Redis

from tests.simulation.people import People
from tests.simulation.site import Site

Kind = Literal["calm", "processes", "store"]
Tell = Callable[[str], None] | None
_ROUNDS = 120
_PATIENCE = (0, 0, 3, 12, 20, 100)
"""Seconds that pass while nobody has anything to do, one after the other: for who is due, silent or forgotten."""
_FAULTS = ("kill", "stall", "die in the middle", "repeat", "forget", "lose")


@dataclass(frozen=True)
class Report:
    """What came of a seed."""

    seed: int
    kind: Kind
    tasks: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Weather:
    """How often what happens; every seed has its own, so that each is extreme in something."""

    asks: float
    commands: float
    fails: float
    faults: tuple[float, ...]
    paces: tuple[float, ...]
    """How quick who is: what somebody slow has to do, comes together in one batch."""

    @classmethod
    def of(cls, site: Site, kind: Kind) -> "Weather":
        dice = site.dice
        faults = [dice.random() ** 2 for _ in _FAULTS]
        if kind != "store":
            faults[_FAULTS.index("lose")] = 0.0
        fails = 0.0 if kind == "calm" else dice.choice((0.03, 0.08, 0.15))
        paces = tuple(0.1 + dice.random() ** 2 for _ in site.names)
        return cls(dice.choice((0.05, 0.1, 0.2)), dice.choice((0.02, 0.05, 0.1)), fails, tuple(faults), paces)


async def simulate(seed: int, redis: Redis, redis_url: str, kind: Kind | None = None, tell: Tell = None) -> Report:
    """Play one seed. `calm`: nothing fails; `processes`: only what is survived without the sweep; `store`: anything."""
    dice = Random(seed)
    drawn: Kind = dice.choices(("calm", "processes", "store"), (1, 6, 3))[0]
    site = Site(redis, redis_url, dice)
    site.log.tell = tell
    with site.in_virtual_time():
        try:
            return await _play(site, seed, kind or drawn)
        finally:
            await site.close()


async def _play(site: Site, seed: int, kind: Kind) -> Report:
    await site.begin()
    await _work(site)
    people, weather = People(site), Weather.of(site, kind)
    for _ in range(site.dice.choice((50, 100, 200))):
        await _something(site, people, weather)
    people.let_everything_go_on()
    await _rest(site, people)
    site.checker.look(site.keeper.tables)
    await site.checker.look_at_live_state(site.redis)
    return Report(seed, kind, len(site.keeper.tables.tasks()), tuple(site.checker.problems))


async def _something(site: Site, people: People, weather: Weather) -> None:
    """Mostly somebody works; now and then somebody asks for something, time passes, or something fails."""
    dice = site.dice
    if dice.random() < weather.asks:
        people.submit()
    if dice.random() < weather.commands:
        people.command()
    if dice.random() < 0.01:
        people.come_or_go()
    if dice.random() < 0.02:
        await site.tick()
    if dice.random() < 0.02:
        site.pass_time(dice.choice((1, 1, 3, 12, 40)))
    if dice.random() < weather.fails:
        await _fail(site, dice.choices(_FAULTS, weather.faults)[0])
    for name in dice.choices(site.names, weather.paces, k=4):
        await site.step(name)


async def _fail(site: Site, fault: str) -> None:
    match fault:
        case "kill":
            await site.kill(site.dice.choice(site.names))
        case "stall":
            site.stall(site.dice.choice(site.names))
        case "die in the middle":
            site.die_soon()
        case "repeat":
            site.repeat_something()
        case "forget":
            await site.forget_live_state()
        case _:
            site.lose_end()


async def _rest(site: Site, people: People) -> None:
    """Everybody works; when nobody has anything to do, time passes, until all has ended or nothing will help."""
    for agent in site.agents.values():
        agent.is_calm = True
    patience = 0
    for _ in range(_ROUNDS):
        moved = await _work(site)
        if people.is_content() and not moved:
            return
        patience = 0 if moved else patience + 1
        if (patience == len(_PATIENCE) and not site.sweeps) or patience > 2 * len(_PATIENCE):
            return
        site.pass_time(_PATIENCE[min(patience, len(_PATIENCE) - 1)])
        if await _work(site):
            patience = 0
        people.let_everything_go_on()
        await site.tick()


async def _work(site: Site) -> bool:
    """Until nobody has anything to do; whether anybody had."""
    before = site.log.end
    idle = 0
    while idle < 3:
        moved = [await site.step(name) for name in site.dice.sample(site.names, len(site.names))]
        idle = 0 if any(moved) or not site.keeper.is_idle else idle + 1
    return site.log.end > before
