"""Which types of events may come from outside, from whom, and what becomes of each: one `Rule` a type."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from events.base import CATALOGUE, Event, EventData
from events.errors import UnknownEventTypeError
from gateway.auth.sender import Kind
from gateway.door.arrival import Arrival
from gateway.errors import Fault, ForbiddenError, InvalidBodyError, faults_of


class ForbiddenEventError(ForbiddenError):
    """Nobody outside may state this: it is announced, not asked for."""

    code = "event_not_allowed"


class UnknownTypeError(UnknownEventTypeError):
    """No event of this type is taken here; `known_types` are."""

    def __init__(self, known: Sequence[str]) -> None:
        super().__init__(self.__doc__)
        self.members: dict[str, object] = {"known_types": list(known)}


class Said(BaseModel):
    """What the data of an event from outside may be: nothing unknown, nothing converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Rule(Protocol):
    """What one type of event from outside leads to.

    `said` is what its data must be, `who` may send it and with which `scope` (None: any of that kind).
    """

    payload: type[EventData]
    said: type[BaseModel]
    who: Kind
    scope: str | None

    async def admit(self, arrival: Arrival) -> Event[EventData]:
        """The event for the bus, of source `/gateway` and with the arrival's id; a GanglionError refuses it."""
        ...


class Rules:
    """The table of rules."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules: dict[str, dict[Kind, Rule]] = {}
        for rule in rules:
            self._rules.setdefault(rule.payload.event_type, {})[rule.who] = rule

    @property
    def types(self) -> list[str]:
        """What may come from outside."""
        return sorted(self._rules)

    def get(self, event_type: str) -> Rule | None:
        """The rule of a type, if it may come from outside; a user's, if an agent may send such a one too."""
        return next(iter(self._rules.get(event_type, {}).values()), None)

    def rule_for(self, arrival: Arrival) -> Rule:
        """The rule that an arrival falls under. Raises UnknownTypeError, ForbiddenEventError, MissingScopeError."""
        event_type = arrival.attributes.type
        rules = self._rules.get(event_type)
        if rules is None:
            raise ForbiddenEventError if event_type in CATALOGUE else UnknownTypeError(self.types)
        rule = rules.get(arrival.sender.kind)
        if rule is None:
            raise ForbiddenEventError(f"This is for {' and '.join(rules)}s to say.")
        if rule.scope is not None:
            arrival.sender.principal.must(rule.scope)
        return rule


S = TypeVar("S", bound=BaseModel)


def read_said(model: type[S], arrival: Arrival) -> S:
    """An arrival's data. Raises InvalidBodyError, which names members and never repeats values."""
    data = arrival.attributes.data
    try:
        return model.model_validate_json(orjson.dumps(data))
    except ValidationError as error:
        faults = faults_of(error, data)
        raise InvalidBodyError([Fault(field=f"data.{f['field']}", message=f["message"]) for f in faults]) from error
