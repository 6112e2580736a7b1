"""Streams and durable consumers as one table; `producers/topology.py` makes the server match it."""

from dataclasses import dataclass, field
from typing import Literal

from events.agent import AGENT_STATES, PRESENCE_EVENTS, AgentActive, AgentChanged, AgentGone, AgentHeartbeat
from events.base import EventData
from events.plan import TaskDecompose, TaskDecomposed, TaskUndecomposed
from events.proposal import (
    ProposalApproved,
    ProposalExpired,
    ProposalExtracted,
    ProposalExtracting,
    ProposalRejected,
    ProposalSuperseded,
)
from events.route import RouteDecided, RouteFailed
from events.run import RUN_EVENTS, RunDelayed, RunFiles, RunFinished, RunProgress, RunStarted
from events.subjects import filters_for
from events.task import (
    FOR_ENGINE,
    FOR_OUTSIDE,
    FOR_PUSH,
    FOR_RUNNER,
    RUN_HAS_ENDED,
    TaskAssigned,
    TaskCancelled,
    TaskChecked,
    TaskFailed,
    TaskPartial,
    TaskPaused,
    TaskReady,
    TaskRunning,
    TaskSkipped,
    TaskSubmitted,
    TaskSucceeded,
    TaskTimedOut,
    TaskUnchecked,
    TaskWaiting,
)
from events.work import WorkAssigned, WorkStopped

DAY = 86_400.0
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stream:
    """One JetStream stream. Ages and windows in seconds, sizes in bytes."""

    name: str
    subjects: tuple[str, ...]
    storage: Literal["file", "memory"] = "file"
    max_age: float = 7 * DAY
    max_bytes: int = 1024 * MIB
    duplicate_window: float = 120.0
    allow_atomic: bool = False
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Durable:
    """One durable pull consumer of a stream. `retry` are the delays (s) between deliveries, the last one repeats.

    `outputs` is all that the consumer may publish, besides task.control and dead letters of its own: its NATS user
    has no right to more (producers/permissions.py).

    `kind`: which one it is given, of an input whose subject tells several apart.
    `slots`: how many messages one process works on at a time in slots mode; 0 means flow mode. `filters` follow from
    the `inputs`; `subjects` are filters for what is no event of ours.
    """

    name: str
    inputs: tuple[type[EventData], ...]
    outputs: tuple[type[EventData], ...] = field(default=(), kw_only=True)
    stream: str = "BUS"
    subjects: tuple[str, ...] = ()
    kind: str = ""
    ack_wait: float = 30.0
    max_deliver: int = 10
    max_ack_pending: int = 2_048
    retry: tuple[float, ...] = (2.0, 10.0, 30.0)
    slots: int = 0
    filters: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        inputs = (one for payload in self.inputs for one in filters_for(payload, self.kind))
        object.__setattr__(self, "filters", (*inputs, *self.subjects))


BUS = Stream("BUS", ("bus.>",), max_bytes=4096 * MIB, allow_atomic=True)
WORK = Stream("WORK", ("work.>",))
TOK = Stream("TOK", ("tok.>",), storage="memory", max_age=600.0, max_bytes=256 * MIB)
DLQ = Stream("DLQ", ("dlq.>",), max_age=30 * DAY, duplicate_window=DAY)
MAX_DELIVERIES = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES"
ADVISORY = Stream(
    "ADVISORY",
    (
        f"{MAX_DELIVERIES}.>",
        "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
    ),
    max_age=30 * DAY,
)
STREAMS: tuple[Stream, ...] = (BUS, WORK, TOK, DLQ, ADVISORY)

REFLEX = Durable("reflex", (TaskSubmitted,), outputs=(TaskChecked, TaskUnchecked))
ROUTER = Durable(
    "router",
    (
        *(TaskReady, TaskWaiting, TaskPaused, TaskSucceeded, TaskPartial, TaskFailed, TaskTimedOut, TaskCancelled),
        *(TaskSkipped, TaskRunning, RunProgress),
        *AGENT_STATES.values(),
        AgentHeartbeat,
    ),
    outputs=(RouteDecided, RouteFailed, AgentChanged),
    kind=RUN_HAS_ENDED,
)
DISPATCH = Durable(
    "dispatch", (TaskAssigned, AgentActive, AgentGone), outputs=(WorkAssigned, WorkStopped), kind=FOR_OUTSIDE
)
RUNNER = Durable(
    "runner", (TaskAssigned,), outputs=(*RUN_EVENTS, *PRESENCE_EVENTS), ack_wait=15.0, slots=64, kind=FOR_RUNNER
)
SPEC_ENGINE = Durable(
    "spec_engine",
    (TaskAssigned,),
    outputs=(RunDelayed, *RUN_EVENTS, *PRESENCE_EVENTS),
    ack_wait=15.0,
    slots=64,
    kind=FOR_ENGINE,
)
PUSH = Durable(
    "push",
    (TaskAssigned,),
    outputs=(RunStarted, RunProgress, RunFiles, RunFinished),
    ack_wait=15.0,
    slots=512,
    kind=FOR_PUSH,
)
ENGINE_CLEANUP = Durable(
    "engine_cleanup",
    (
        *(ProposalApproved, ProposalRejected, ProposalSuperseded, ProposalExpired),
        *(TaskCancelled, TaskFailed, TaskTimedOut),
    ),
    ack_wait=15.0,
    max_deliver=1_000,
    slots=32,
)
PLANNER = Durable("planner", (TaskDecompose,), outputs=(TaskDecomposed, TaskUndecomposed))
PROPOSALS = Durable("proposals", (ProposalExtracting,), outputs=(ProposalExtracted,))
UNDERTAKER = Durable(
    "undertaker", (), stream=ADVISORY.name, subjects=(f"{MAX_DELIVERIES}.{BUS.name}.>",), max_deliver=1_000
)
DURABLES: tuple[Durable, ...] = (
    REFLEX,
    ROUTER,
    DISPATCH,
    RUNNER,
    SPEC_ENGINE,
    PUSH,
    ENGINE_CLEANUP,
    PLANNER,
    PROPOSALS,
    UNDERTAKER,
)

EPOCH_KEY = "ganglion_epoch"
"""Where BUS keeps its epoch token in the stream's metadata (DESIGN 4)."""
