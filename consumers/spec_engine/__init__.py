"""The consumer that runs refinements on a spec engine: task.assigned -> run.started … run.files … run.finished."""

from consumers._engine.client import SpecEngineClient
from consumers._engine.settings import EngineSettings
from consumers._presence import Offer, Presence
from consumers._runtime import Resources, Slots
from consumers.spec_engine.consumer import SpecEngine
from events.agent import ENGINE_AGENT
from events.spans import Spans, SpanSettings
from events.streams import SPEC_ENGINE

__all__ = ["SpecEngine", "build"]


def build(resources: Resources) -> Slots:
    """The consumer, for the engine that the environment names."""
    settings = EngineSettings()
    client = SpecEngineClient(settings, Spans.of_service("ganglion-consumers", SpanSettings()))
    engine = SpecEngine(client, resources.lookup, settings)
    presence = Presence(resources.publisher, SPEC_ENGINE.name, [Offer(ENGINE_AGENT, frozenset({"spec"}))])

    async def start() -> None:
        await engine.stops.listen(resources.client)
        await presence.start()

    return Slots(SPEC_ENGINE, engine.run, start=start)
