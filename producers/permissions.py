"""Who may do what on NATS: the least that each role of ours and each outsider needs (DESIGN 3, OWASP API5).

Roles of ours are users of the account GANGLION, outsiders of the account OUTSIDE, which imports from it no more than
`EXPORTS`. A consumer's rights follow from its row in `events/streams.py`; what else it does on NATS stands in
`_BESIDES`. `deploy/nats_users.py` writes this into the server's configuration, `gateway/auth/callout.py` into tokens.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from events.base import CATALOGUE, EventData
from events.plan import TaskDecomposed, TaskUndecomposed
from events.proposal import ProposalExtracted
from events.route import RouteDecided, RouteFailed
from events.run import RunDelta, RunFiles, RunProgress, RunStarted, RunToolCalled
from events.streams import BUS, DLQ, DURABLES, TOK, WORK, Durable
from events.subjects import COMMITTED, MISSED, filters_for
from events.task import STATE_EVENTS, TaskChecked, TaskControl, TaskUnchecked

INSIDE, OUTSIDE = "GANGLION", "OUTSIDE"
"""The two accounts: subjects of one do not exist in the other, but for `EXPORTS`."""
ADMIN, GATEWAY, CALLOUT, KEEPER = "ganglion", "gateway", "callout", "keeper"

AUTH_REQUESTS = "$SYS.REQ.USER.AUTH"
REQUESTS = "in.>"
WATCHES = "watch.*"
ROUTE_QUESTIONS = "route.ask"
_API = "$JS.API"

Payloads = Iterable[type[EventData]]

_NEVER_OF_THE_GATEWAY: Payloads = (
    *(TaskChecked, TaskUnchecked, TaskDecomposed, TaskUndecomposed, RouteDecided, RouteFailed, ProposalExtracted),
)
"""Facts that a consumer of ours states; state events are the keeper's and the router's."""
_NEVER_OF_THE_KEEPER: Payloads = (*_NEVER_OF_THE_GATEWAY, RunStarted, RunProgress, RunFiles, RunDelta, RunToolCalled)


@dataclass(frozen=True, slots=True)
class Permissions:
    """Subjects that may be published and subscribed to; what is denied is denied although it is allowed.

    `answers`: one reply to each request that it hears, for a second, wherever the asker wants it.
    """

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    deny_publish: tuple[str, ...] = ()
    answers: bool = False


@dataclass(frozen=True, slots=True)
class Export:
    """What INSIDE offers to OUTSIDE: a service (asked and answered) or a stream (heard).

    `answers`: `stream` for several answers to one request; the server forgets a request after `forget_after` seconds.
    """

    subject: str
    kind: str = "service"
    answers: str = "single"
    forget_after: int | None = None
    says_who: bool = False


EXPORTS = (
    Export(REQUESTS, says_who=True),
    Export(WATCHES, answers="stream", forget_after=120, says_who=True),
    # Each pull is one request, and the server keeps it until the puller's inbox closes, or for so long (measured).
    Export(f"{_API}.CONSUMER.MSG.NEXT.{WORK.name}.*", answers="stream", forget_after=60),
    Export(f"{_API}.CONSUMER.INFO.{WORK.name}.*"),
    Export(f"$JS.ACK.{WORK.name}.>"),
    Export("ctl.>", kind="stream"),
)


def inbox_of(role: str) -> str:
    """Where the answers to a role of ours go: `inbox_prefix` of its connection."""
    return f"_INBOX.{role}"


def users() -> dict[str, Permissions]:
    """Every role of ours by the name of its user; the admin provisions, and is for operators."""
    consumers = {durable.name: _consumer(durable) for durable in DURABLES}
    return {ADMIN: Permissions((">",), (">",)), GATEWAY: _gateway(), CALLOUT: _callout(), KEEPER: _keeper()} | consumers


def producer(tenant: str, owner: str) -> Permissions:
    """An outsider with a user's token."""
    return Permissions((f"in.{tenant}.>", f"watch.{tenant}"), (f"_INBOX.{tenant}.{owner}.>",))


def agent(tenant: str, agent_id: str, durable: str) -> Permissions:
    """An outside agent: what it states, its own queue, and what it is told."""
    return Permissions(
        publish=(
            f"in.{tenant}.run.*",
            f"in.{tenant}.agent.*",
            f"in.{tenant}.context.change",
            f"{_API}.CONSUMER.MSG.NEXT.{WORK.name}.{durable}",
            f"{_API}.CONSUMER.INFO.{WORK.name}.{durable}",
            f"$JS.ACK.{WORK.name}.{durable}.>",
        ),
        subscribe=(f"_INBOX_agent.{tenant}.{agent_id}.>", f"ctl.{tenant}.{agent_id}"),
    )


def _consumer(durable: Durable) -> Permissions:
    """A consumer that reads its own durable, publishes its outputs, ends tasks and writes dead letters."""
    place = f"{durable.stream}.{durable.name}"
    publish = (
        *_filters((*durable.outputs, TaskControl)),
        f"dlq.{durable.name}.>",
        f"$JS.ACK.{place}.>",
        *(f"{_API}.CONSUMER.{verb}.{place}" for verb in ("MSG.NEXT", "INFO", "PAUSE")),
        f"{_API}.STREAM.INFO.{BUS.name}",
    )
    besides = _BESIDES.get(durable.name, Permissions((), ()))
    subscribe = (f"{inbox_of(durable.name)}.>", *besides.subscribe)
    return Permissions((*publish, *besides.publish), subscribe, answers=besides.answers)


_STATES = tuple(one for state in STATE_EVENTS.values() for one in filters_for(state))
_BESIDES: dict[str, Permissions] = {
    # It answers what it would decide.
    "router": Permissions((), (ROUTE_QUESTIONS,), answers=True),
    # It makes and removes the queues of outside agents, and tells them what to stop.
    "dispatch": Permissions(
        (
            f"{_API}.CONSUMER.DURABLE.CREATE.{WORK.name}.*",
            f"{_API}.CONSUMER.CREATE.{WORK.name}.>",
            f"{_API}.CONSUMER.DELETE.{WORK.name}.*",
            f"{_API}.CONSUMER.LIST.{WORK.name}",
            f"{_API}.STREAM.PURGE.{WORK.name}",
        ),
        _STATES,
    ),
    # It stops an agent as soon as its task leaves `running`.
    "runner": Permissions((), _STATES),
    "spec_engine": Permissions((), _STATES),
    "push": Permissions((), _STATES),
    # It buries what other consumers were given in vain.
    "undertaker": Permissions(("dlq.>", f"{_API}.STREAM.MSG.GET.{BUS.name}", f"{_API}.DIRECT.GET.{BUS.name}.>"), ()),
}
"""What consumers do on NATS besides reading their durable and publishing their outputs."""


def _gateway() -> Permissions:
    """It publishes what outsiders ask for and reads the log; a consumer's durable is not its to take from or delete."""
    asked = [kind for kind in CATALOGUE.values() if kind.subject_root in {"bus", "tok"} and not kind.is_state]
    # An operator may have a dead letter delivered again: whatever a consumer was given.
    given = [one for durable in DURABLES for kind in durable.inputs for one in filters_for(kind, durable.kind)]
    allowed = _filters([kind for kind in asked if kind not in _NEVER_OF_THE_GATEWAY])
    publish = (
        *dict.fromkeys((*allowed, *given)),
        "_R_.>",  # answers to who asked in the account OUTSIDE
        ROUTE_QUESTIONS,
        MISSED,
        f"{_API}.STREAM.INFO.*",
        f"{_API}.CONSUMER.INFO.*.*",
        *_reading(BUS.name),
        *_reading(TOK.name),
        f"{_API}.STREAM.MSG.GET.{DLQ.name}",
        f"{_API}.STREAM.MSG.DELETE.{DLQ.name}",
    )
    return Permissions(publish, (f"{inbox_of(GATEWAY)}.>", COMMITTED, REQUESTS, WATCHES), _of_durables())


def _callout() -> Permissions:
    """It says who an outsider is: one subject in, answers out."""
    return Permissions(("$SYS._INBOX.>",), (AUTH_REQUESTS, f"{inbox_of(CALLOUT)}.>"))


def _keeper() -> Permissions:
    """It reads the log, announces states and begins epochs; it deletes no stream and no message."""
    publish = (
        "bus.>",
        f"dlq.{KEEPER}.>",
        COMMITTED,
        *_reading(BUS.name),
        *(f"{_API}.STREAM.{verb}.*" for verb in ("INFO", "CREATE", "UPDATE")),
        f"{_API}.STREAM.PURGE.{BUS.name}",
        f"{_API}.CONSUMER.LIST.{BUS.name}",
        f"{_API}.CONSUMER.INFO.*.*",
        f"{_API}.CONSUMER.DURABLE.CREATE.*.*",
        f"{_API}.CONSUMER.CREATE.>",
        f"{_API}.CONSUMER.DELETE.{BUS.name}.*",
    )
    pulls = tuple(f"{_API}.CONSUMER.MSG.NEXT.{durable.stream}.{durable.name}" for durable in DURABLES)
    return Permissions(publish, (f"{inbox_of(KEEPER)}.>", MISSED), (*_filters(_NEVER_OF_THE_KEEPER), *pulls))


def _reading(stream: str) -> tuple[str, ...]:
    """What producers/reader.py asks for: a nameless consumer of its own, and messages by their number."""
    return (
        f"{_API}.CONSUMER.CREATE.{stream}",
        f"{_API}.CONSUMER.DELETE.{stream}.*",
        f"{_API}.CONSUMER.MSG.NEXT.{stream}.*",
        f"{_API}.STREAM.INFO.{stream}",
        f"{_API}.STREAM.MSG.GET.{stream}",
        f"{_API}.DIRECT.GET.{stream}",
        f"{_API}.DIRECT.GET.{stream}.>",
    )


def _of_durables() -> tuple[str, ...]:
    """Taking from a durable of ours, or deleting it: denied to who may do so with consumers of its own."""
    return tuple(
        f"{_API}.CONSUMER.{verb}.{durable.stream}.{durable.name}"
        for durable in DURABLES
        for verb in ("MSG.NEXT", "DELETE")
    )


def _filters(payloads: Payloads) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for payload in payloads for one in filters_for(payload)))
