"""Router: which agent takes a task, with its reasons. task.ready -> route.decided | route.failed.

It alone writes the live state of the agents, a batch of events in one round trip. A task that nobody can take waits
in a queue there, and is offered again by the event that makes room: a run that ends, an agent that comes or is heard.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from consumers.router.asks import ask_for, needs_of
from consumers.router.heard import ops_of
from consumers.router.scoring import Entrants, Needs, Ranking, entrants, ranked
from consumers.router.transitions import Transitions
from events.base import Event, EventData
from events.codec import decode_structured
from events.route import Candidate, RouteDecided, RouteFailed
from events.streams import ROUTER
from events.task import TaskEntered, TaskReady
from storage.live.heard import again, wake
from storage.live.store import Applied, Ask, ColdError, Given, LiveAgents, LiveStateUnavailableError, Op
from storage.live.view import LiveAgent, member_of
from storage.lookup import TaskView

SOURCE = f"/consumers/{ROUTER.name}"
MAX_CANDIDATES = 32
"""How many agents a decision names; the best and the nearest."""
_ROUNDS = 4
_ASK_AGAIN = ("again", "late")
_REMEMBERED = 1_000


@dataclass(slots=True)
class _Wanted:
    """A task in this batch, why it is looked at, and what came of it."""

    ready: Event[EventData]
    data: TaskReady
    cause: str
    again: bool = False
    is_open: bool = False
    ranking: Ranking | None = None
    given: Given | None = None
    before: Given | None = None


@dataclass(slots=True)
class _Batch:
    """The tasks of one batch by their slot's name, and the agents that changed."""

    wanted: dict[str, _Wanted]
    changed: dict[str, None] = field(default_factory=dict)

    def unanswered(self) -> list[str]:
        """Who has to ask, or ask again."""
        return [name for name, one in self.wanted.items() if one.given is None or one.given.reason in _ASK_AGAIN]

    def late(self) -> dict[str, _Wanted]:
        """Who became ready before the live state was built."""
        return {name: one for name, one in self.wanted.items() if one.given is not None and one.given.reason == "late"}


class Router:
    """Decides. `rebuild` makes sure that the live state is there, from what is durable if it must be built.

    `recall` reads a task's row.
    """

    def __init__(
        self,
        live: LiveAgents,
        rebuild: Callable[[], Awaitable[None]],
        recall: Callable[[UUID], Awaitable[TaskView | None]],
    ) -> None:
        self._live = live
        self._rebuild = rebuild
        self._recall = recall
        self._transitions = Transitions(SOURCE)
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._wake = False
        self._generation = -1
        self._judged: dict[Needs, Entrants] = {}

    async def route(self, event: Event[EventData]) -> Sequence[Event[EventData]]:
        """What one event leads to."""
        return (await self.route_all([event]))[0]

    async def route_all(self, events: Sequence[Event[EventData]]) -> list[list[Event[EventData]]]:
        """What each event leads to: decisions on tasks that are ready or waited, and changes of agents."""
        async with self._turn:
            for _ in range(2):
                try:
                    return await self._handle(events)
                except ColdError:
                    await self._rebuild()
                    self._wake = True
            raise LiveStateUnavailableError

    async def _handle(self, events: Sequence[Event[EventData]]) -> list[list[Event[EventData]]]:
        await self._live.look()
        batch = _Batch({})
        ops = [*self._transitions.take(), *_heard(events, batch)]
        if self._wake:
            ops += [wake(key, events[0].id) for key in self._live.view]
        patient = self._waiting > 0 or self._wake
        applied = await self._ask(batch, ops, [] if patient else list(batch.wanted))
        for _ in range(_ROUNDS):
            self._add_offers(batch, applied)
            await self._drop_what_is_over(batch)
            unanswered = batch.unanswered()
            if not unanswered:
                break
            applied = await self._ask(batch, [], unanswered)
        self._waiting, self._wake = applied.waiting, False
        return self._outputs(events, batch)

    async def _drop_what_is_over(self, batch: _Batch) -> None:
        """What is older than the live state may have ended without its knowledge; Postgres knows.

        A slot for it would be held for nothing until its lease lapses, and be the probe if the agent's breaker is open.
        """
        late = batch.late()
        tasks = await asyncio.gather(*(self._recall(one.data.task_id) for one in late.values()))
        for (name, one), task in zip(late.items(), tasks, strict=True):
            if task is not None and (task.status, task.attempt) != ("ready", one.data.attempt):
                del batch.wanted[name]
            else:
                one.is_open = True

    def _add_offers(self, batch: _Batch, applied: Applied) -> None:
        """Waiting tasks that may have a slot now, before those that have just come.

        Who has just come and is in line already, because the builder saw it, asks for itself: it was told nothing yet.
        """
        offered: dict[str, _Wanted] = {}
        for offer in applied.offers:
            known = batch.wanted.get(offer.member)
            if known is not None and known.given is not None and known.given.agent:
                continue
            ready = decode_structured(offer.body)
            if known is not None and known.given is None:
                offered[offer.member] = known
            elif isinstance(ready.data, TaskReady):
                before = known.given if known is not None else None
                offered[offer.member] = _Wanted(ready, ready.data, offer.cause, again=True, before=before)
        batch.wanted = {**offered, **{name: one for name, one in batch.wanted.items() if name not in offered}}

    async def _ask(self, batch: _Batch, ops: Sequence[Op], names: Sequence[str]) -> Applied:
        expected: list[LiveAgent] = []
        asks = [self._ask_for(batch.wanted[name], expected) for name in names]
        for agent in expected:
            agent.in_flight -= 1  # the answer says how busy they are
        applied = await self._live.apply(ops, asks)
        for name, given in zip(names, applied.given, strict=True):
            batch.wanted[name].given = given
        batch.changed.update(dict.fromkeys(agent.key for agent in applied.changed))
        return applied

    def _ask_for(self, one: _Wanted, expected: list[LiveAgent]) -> Ask:
        ranking = one.ranking = ranked(self._entrants(needs_of(one.ready, one.data)), self._live.now)
        if ranking.room:
            expected.append(ranking.order[0])
            ranking.order[0].in_flight += 1  # so that the next task of this batch sees it
        sure = ranking.room > 0 and not one.again and one.given is None
        order = [agent.key for agent in ranking.order]
        return ask_for(one.ready, one.data, order, cause=one.cause, again=one.again, sure=sure, is_open=one.is_open)

    def _entrants(self, needs: Needs) -> Entrants:
        """Who could take such a task, remembered until an agent comes, goes or changes."""
        if self._generation != self._live.generation or len(self._judged) > _REMEMBERED:
            self._generation = self._live.generation
            self._judged.clear()
        if needs.routing.min_tier is not None:  # a record changes with every run
            return entrants(self._live.serving(needs.tenant), needs)
        found = self._judged.get(needs)
        if found is None:
            found = self._judged[needs] = entrants(self._live.serving(needs.tenant), needs)
        return found

    def _outputs(self, events: Sequence[Event[EventData]], batch: _Batch) -> list[list[Event[EventData]]]:
        places = {event.id: place for place, event in enumerate(events)}
        outputs = [self._transitions.again(event) for event in events]
        for one in batch.wanted.values():
            if (told := _told(one, self._live.view)) is not None:
                outputs[places.get(one.cause, 0)].append(told)
        changed = [agent for key in batch.changed if (agent := self._live.view.get(key)) is not None]
        outputs[0] += self._transitions.of(changed, self._live.now, events[0])
        return outputs


def _heard(events: Sequence[Event[EventData]], batch: _Batch) -> list[Op]:
    """What the events say; a task that ends in the same batch, or waits once more, is not asked for.

    They may come in another order than they were said in: what is put back for a while comes behind later ones.
    On behalf of any of them a slot may have been given to who waits in line, by a router that died before it said so.
    """
    ops: list[Op] = []
    for event in events:
        data = event.data
        ops += [again(event.id), *ops_of(event)]
        if not isinstance(data, TaskEntered):
            continue
        member = member_of(data.task_id, data.attempt)
        known = batch.wanted.get(member)
        if known is not None and known.data.version > data.version:
            continue
        if isinstance(data, TaskReady):
            batch.wanted[member] = _Wanted(event, data, event.id)
        elif known is not None:
            del batch.wanted[member]
    return ops


def _told(one: _Wanted, view: Mapping[str, LiveAgent]) -> Event[EventData] | None:
    """The decision on one task, under an id that follows from its task.ready however often it is decided."""
    given, ranking = one.given, one.ranking
    if given is None or ranking is None:
        return None
    if not given.agent and not given.times and one.before is not None:
        given = one.before
    if not given.agent:
        if not given.times:
            return None
        failed = RouteFailed.model_construct(
            task_id=one.data.task_id,
            attempt=one.data.attempt,
            reason=given.reason,  # type: ignore[arg-type]  # one of the three that apply.lua gives
            candidates=tuple(ranking.candidates[:MAX_CANDIDATES]),
        )
        return one.ready.caused(failed, source=SOURCE, seed=f"{one.ready.id} {given.reason} {given.times}")
    agent_id = given.agent.partition("/")[2]
    candidates, score = named(ranking.candidates, agent_id)
    decided = RouteDecided.model_construct(
        task_id=one.data.task_id,
        attempt=one.data.attempt,
        candidates=candidates,
        agent_id=agent_id,
        score=score,
        reason=_reason(ranking, agent_id, waited=one.again),
        pushed=True if (agent := view.get(given.agent)) is not None and agent.spec.pushed else None,
        task_version=one.data.version,
    )
    return one.ready.caused(decided, source=SOURCE)


def named(judged: Sequence[Candidate], agent_id: str) -> tuple[tuple[Candidate, ...], float]:
    """The candidates that a decision names, the chosen one always among them, and the chosen one's score."""
    chosen = next((one for one in judged if one.agent_id == agent_id), None)
    first = tuple(judged[:MAX_CANDIDATES])
    if chosen is not None and chosen not in first:
        first = (*first[:-1], chosen)
    return first, (chosen.score or 0.0) if chosen is not None else 0.0


def _reason(ranking: Ranking, agent_id: str, *, waited: bool) -> str:
    if waited:
        return "a slot became free while the task waited"
    if not ranking.room or ranking.order[0].agent_id != agent_id:
        return "has a slot for this attempt"
    return f"the best score of {ranking.room} with room" if ranking.room > 1 else "the only one with room"
