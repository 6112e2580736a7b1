"""Push: outside agents that are called. task.assigned -> run.started, run.progress, run.files, run.finished."""

from consumers._runtime import Resources, Slots
from consumers.push.client import AgentClient
from consumers.push.consumer import Push
from consumers.push.settings import PushSettings
from events.endpoints import EndpointRules, EndpointSettings
from events.streams import PUSH
from screening.settings import ScreeningSettings

__all__ = ["build"]


def build(resources: Resources) -> Slots:
    """The consumer. Who may be called is read from the environment, as by the gateway that registers them."""
    client = AgentClient(PushSettings(), EndpointRules(EndpointSettings()))
    push = Push(client, resources.lookup, ScreeningSettings().sealer())

    async def start() -> None:
        await push.stops.listen(resources.client)

    return Slots(PUSH, push.run, start=start)
